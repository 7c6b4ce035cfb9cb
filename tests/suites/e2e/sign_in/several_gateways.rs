//! Two gateways with one store, Redis and Valkey: what one does, the other knows.

use e2e::client::sse::Events;
use e2e::client::{Call, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::browser::{Browser, form};
use e2e::sign_in::client::{Client, Tokens, call, redemption};
use e2e::sign_in::store::{PROGRAMS, StoreServer, with_store};
use e2e::sign_in::{PASSWORD, USER, with_authorization_server};
use e2e::upstream::Upstream;
use http::Method;
use serde_json::Value;
use test_support::{P256, Proof};

/// Two gateways. Clients reach the first one at its public URL; requests to the second one name the same host.
struct Site {
    store: StoreServer,
    first: Gateway,
    second: Gateway,
    upstream: Upstream,
}

impl Site {
    async fn start(program: &'static str) -> Self {
        let store = StoreServer::start(program).await;
        let upstream = Upstream::start().await;
        let config = Config::new(&upstream.url(), &[]);
        let config = with_store(with_authorization_server(config).await, &store);
        let other = Config::new(&upstream.url(), &[]);
        let other = with_store(with_authorization_server(other).await, &store);
        let other = other.set("/public_url", config.public_url());
        let (first, second) = tokio::join!(Gateway::start(config), Gateway::start(other));
        Self {
            store,
            first,
            second,
            upstream,
        }
    }

    /// A request to the second gateway.
    fn at_second(&self, call: Call) -> Call {
        let url = self.first.config.public_url();
        call.with("host", url.trim_start_matches("http://"))
    }

    /// The answer of the second gateway to a token request.
    async fn ask_second(&self, client: &Client, fields: &[(&str, &str)]) -> (u16, Value) {
        Self::answered(self.token_request(client, fields)).await
    }

    /// The same with a DPoP proof.
    async fn ask_second_with(
        &self,
        client: &Client,
        fields: &[(&str, &str)],
        proof: &str,
    ) -> (u16, Value) {
        let request = self.token_request(client, fields);
        Self::answered(request.with("dpop", proof)).await
    }

    fn token_request(&self, client: &Client, fields: &[(&str, &str)]) -> Call {
        let own = ("client_id", client.id.as_str());
        let request = self.second.request(Method::POST, "/token");
        self.at_second(request)
            .with("content-type", "application/x-www-form-urlencoded")
            .body(form(fields.iter().copied().chain([own])))
    }

    async fn answered(call: Call) -> (u16, Value) {
        let answer = call.open().await;
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    async fn call_second(&self, token: &str) -> u16 {
        let call = self.at_second(self.second.post(tool(1, "list_tasks")));
        // A stream that the MCP server opens does not end by itself.
        call.token(token).open().await.status().as_u16()
    }

    /// A code for a client, from a browser at the first gateway.
    async fn code(&self, client: &Client) -> String {
        let mut browser = Browser::new(&self.first.url(""));
        let url = client.authorize(&self.first, "tasks:read");
        let page = browser.sign_in(&url, USER, PASSWORD).await;
        let location = browser.allow(&page).await;
        client.code(&self.first, &location)
    }
}

#[tokio::test]
async fn what_one_gateway_issues_the_other_redeems_refreshes_and_refuses_after_a_revocation() {
    for program in PROGRAMS {
        let site = Site::start(program).await;
        let client = Client::register(&site.first).await;
        let code = site.code(&client).await;
        let (status, answer) = site.ask_second(&client, &redemption(&code)).await;
        assert_eq!(status, 200, "{answer}");
        let tokens = Tokens::of(answer);
        assert_eq!(call(&site.first, &tokens.access).await.status, 200);
        assert_eq!(site.call_second(&tokens.access).await, 200);

        // Each takes up what the other one left.
        let (status, answer) = client.refresh(&site.first, &tokens.refresh).await;
        assert_eq!(status, 200, "{answer}");
        let tokens = Tokens::of(answer);
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &tokens.refresh),
        ];
        let (status, answer) = site.ask_second(&client, &fields).await;
        assert_eq!(status, 200, "{answer}");
        let tokens = Tokens::of(answer);

        // A stream at the second one ends when the grant is revoked at the first.
        let mut feeds = site.upstream.streams("text/event-stream");
        let listening = site.at_second(site.second.get("/mcp"));
        let listening = listening
            .token(&tokens.access)
            .with("accept", "text/event-stream");
        let listening = tokio::spawn(listening.open());
        let feed = feeds.next().await;
        feed.event("x");
        let mut events = Events::new(listening.await.unwrap());
        assert_eq!(events.data().await, "x");
        assert_eq!(client.revoke(&site.first, &tokens.refresh).await, 200);
        assert_eq!(call(&site.first, &tokens.access).await.status, 401);
        eventually("the second gateway refuses the token", async || {
            site.call_second(&tokens.access).await == 401
        })
        .await;
        feed.gone(e2e::SOON).await;
        let (status, answer) = client.refresh(&site.first, &tokens.refresh).await;
        assert_eq!((status, &answer["error"]), (400, &"invalid_grant".into()));

        // A code is redeemed once, at one of them.
        let code = site.code(&client).await;
        let fields = redemption(&code);
        let redeeming = (0..20).map(async |number| match number % 2 {
            0 => site.ask_second(&client, &fields).await.0,
            _ => client.ask(&site.first, &fields).await.0,
        });
        let mut answers = Vec::new();
        for answer in redeeming {
            answers.push(answer.await);
        }
        assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1);
    }
}

#[tokio::test]
async fn without_the_store_valid_tokens_are_accepted_and_what_needs_it_is_503_until_it_is_back() {
    let mut site = Site::start("redis-server").await;
    let client = Client::register(&site.first).await;
    let code = site.code(&client).await;
    let tokens = client.redeem(&site.first, &code).await;
    site.store.kill().await;
    assert_eq!(call(&site.first, &tokens.access).await.status, 200);
    let (status, answer) = client.refresh(&site.first, &tokens.refresh).await;
    assert_eq!(status, 503, "{answer}");
    assert_eq!(answer["error"], "temporarily_unavailable");
    let page = site.first.get(&client.authorize(&site.first, "tasks:read"));
    let page = page.send().await;
    assert_eq!(page.status, 503);
    assert!(!page.header("retry-after").is_empty());
    assert_eq!(call(&site.first, &tokens.access).await.status, 200);
    site.store.restart().await;
    eventually("a refresh is answered", async || {
        client.refresh(&site.first, &tokens.refresh).await.0 == 200
    })
    .await;
    assert_eq!(call(&site.first, &tokens.access).await.status, 200);
    site.first.logged("connected to the store").await;
}

#[tokio::test]
async fn a_refresh_that_is_copied_with_its_proof_ends_nothing_at_the_other_gateway() {
    for program in PROGRAMS {
        let site = Site::start(program).await;
        let client = Client::register(&site.first).await;
        let code = site.code(&client).await;
        let proof = || Proof::new(&P256, "POST", &site.first.uri("/token")).sign();
        let fields = redemption(&code);
        let first = proof();
        let answer = client.ask_with_proof(&site.first, &fields, &first).await;
        assert_eq!(answer.0, 200, "{}", answer.1);
        let mut tokens = vec![Tokens::of(answer.1).refresh];
        let mut proofs = vec![first];
        for _ in 0..3 {
            let used = proof();
            let fields = refresh(tokens.last().unwrap());
            let answer = client.ask_with_proof(&site.first, &fields, &used).await;
            assert_eq!(answer.0, 200, "{}", answer.1);
            tokens.push(Tokens::of(answer.1).refresh);
            proofs.push(used);
        }
        for used in &proofs {
            let fields = refresh(&tokens[0]);
            let (status, answer) = site.ask_second_with(&client, &fields, used).await;
            let expected = (400, &"invalid_dpop_proof".into());
            assert_eq!((status, &answer["error"]), expected, "{program}");
        }
        // The other one knows which proofs were used, and takes a new one.
        let fields = refresh(&tokens[3]);
        let (status, answer) = site.ask_second_with(&client, &fields, &proof()).await;
        assert_eq!(status, 200, "{program}: {answer}");
        let fields = refresh(&tokens[0]);
        let (status, answer) = site.ask_second_with(&client, &fields, &proof()).await;
        let expected = (400, &"invalid_grant".into());
        assert_eq!((status, &answer["error"]), expected, "{program}");
    }
}

fn refresh(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}
