//! A token for each caller at the upstream, for which the caller's own is exchanged (RFC 8693).

use std::time::Duration;

use e2e::certificates;
use e2e::client::initialize;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::issuer::tokens::{TokenEndpoint, answer, issued, subject_of};
use e2e::leaks;
use e2e::sign_in::with_authorization_server;
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use test_support::{Key, Token};

/// A gateway before `upstream` that exchanges tokens at `endpoint`.
async fn start(upstream: &Upstream, endpoint: &TokenEndpoint, keys: Value) -> (Gateway, Key) {
    upstream.has_credentials(|found| found.starts_with("Bearer issued-for-"));
    let key = Key::es256("first");
    let config = Config::new(&upstream.url(), &[&key]);
    let mut exchange = json!({
        "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none",
    });
    for (name, value) in keys.as_object().into_iter().flatten() {
        exchange[name] = value.clone();
    }
    let credentials = json!({ "token_exchange": exchange });
    let target = json!({ "url": upstream.url(), "credentials": credentials });
    (
        Gateway::start(config.set("/resources/0/upstream", target)).await,
        key,
    )
}

fn token(gateway: &Gateway, key: &Key, person: &str) -> Token {
    Token::new(key, ISSUER, &gateway.uri("/mcp")).subject(person)
}

async fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway.post(initialize()).token(token).send().await.status
}

/// An example for credentials with its files and variables; callers have tokens of [`ISSUER`], signed by `key`. Returns the URL of the upstream too.
pub(super) async fn example(
    name: &str,
    upstream: &Upstream,
    endpoint: &TokenEndpoint,
    key: &Key,
) -> (Gateway, String) {
    let url = upstream.url();
    let config = Config::shipped(name);
    let folder = config.folder().join("keys");
    std::fs::create_dir(&folder).unwrap();
    certificates::write_secret(&folder.join("upstream-client.secret"), "hunter2hunter2\n");
    let keys = config.write("jwks.json", test_support::key_set(&[key]).to_string());
    let issuer = json!({ "issuer": ISSUER, "jwks_file": keys });
    let config = config.set("/issuers/corporate", issuer);
    let variables = [("ISSUER", endpoint.identifier()), ("UPSTREAM", &url)];
    (Gateway::start_with(config, &variables).await, url)
}

#[tokio::test]
async fn each_person_has_a_token_of_their_own_that_is_asked_for_once() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    let keys = json!({ "audience": "tasks", "subject_token_type": "jwt" });
    let (gateway, key) = start(&upstream, &endpoint, keys).await;
    let tokens = ["ana", "ben"].map(|person| (person, token(&gateway, &key, person).sign()));
    for _ in 0..3 {
        for (person, token) in &tokens {
            assert_eq!(status(&gateway, token).await, 200);
            let last = upstream.last();
            let expected = format!("Bearer issued-for-{person}");
            assert_eq!(last.header("authorization"), Some(&*expected));
            assert_eq!(last.header("x-mcp-subject"), Some(*person));
        }
    }
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 2);
    for (asked, (_, token)) in asked.iter().zip(&tokens) {
        assert_eq!(asked.parameter("subject_token").as_ref(), Some(token));
        let expected = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", "tasks"),
            ("client_id", "gate"),
        ];
        for (name, value) in expected {
            assert_eq!(asked.parameter(name).as_deref(), Some(value));
        }
    }
    // A new token of the same person is another one.
    let renewed = token(&gateway, &key, "ana").claim("jti", "renewed").sign();
    assert_eq!(status(&gateway, &renewed).await, 200);
    assert_eq!(endpoint.asked().len(), 3);
}

#[tokio::test]
async fn requests_with_one_token_at_once_are_one_exchange() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    endpoint.delays(Duration::from_millis(300));
    let (gateway, key) = start(&upstream, &endpoint, json!({})).await;
    let token = token(&gateway, &key, "ana").sign();
    let calls = (0..20).map(|_| gateway.post(initialize()).token(&token).send());
    let calls: Vec<_> = calls.map(tokio::spawn).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(endpoint.asked().len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_exchanged_is_502_for_its_person_alone() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    endpoint.script(|request| {
        let subject = request.parameter("subject_token").unwrap_or_default();
        match subject_of(&subject).as_str() {
            "ben" => answer(
                400,
                &json!({ "error": "invalid_grant", "error_description": "not for ben" }),
            ),
            _ => issued(request),
        }
    });
    let (gateway, key) = start(&upstream, &endpoint, json!({})).await;
    let (ana, ben) = (
        token(&gateway, &key, "ana").sign(),
        token(&gateway, &key, "ben").sign(),
    );
    for _ in 0..3 {
        assert_eq!(status(&gateway, &ben).await, 502);
    }
    assert_eq!(status(&gateway, &ana).await, 200);
    assert_eq!(endpoint.asked().len(), 2);
    assert_eq!(gateway.refusals("upstream_credential_refused").await, 3.0);
    let line = gateway.logged("does not exchange the caller's token").await;
    assert!(line.contains("description `not for ben`"), "{line}");
    assert_eq!(upstream.hits(), 1);
}

#[tokio::test]
async fn a_person_has_a_share_of_the_exchanges_at_each_resource() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credentials(|found| found.starts_with("Bearer issued-for-"));
    let key = Key::es256("first");
    let exchange = json!({
        "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none",
        "calls": 4, "calls_per_principal": 1,
    });
    let credentials = json!({ "token_exchange": exchange });
    let target = json!({ "url": upstream.url(), "credentials": credentials });
    let mut other = resource("/other", &upstream.url(), &["corporate"]);
    other["upstream"] = target.clone();
    let config = Config::new(&upstream.url(), &[&key]);
    let config = config
        .set("/resources/0/upstream", target)
        .set("/resources/1", other);
    let gateway = Gateway::start(config).await;
    endpoint.delays(Duration::from_secs(1));
    let call = |path: &'static str, id: u32| {
        let token = Token::new(&key, ISSUER, &gateway.uri(path)).subject("ana");
        let token = token.claim("jti", id).sign();
        let call = gateway.post_to(path, initialize()).token(&token).send();
        tokio::spawn(async move { call.await.status })
    };
    let first = call("/mcp", 1);
    let asked = async |count| endpoint.asked().len() == count;
    e2e::eventually("the first one is asked for", async || asked(1).await).await;
    // The share at one resource is used up, and says nothing about another one.
    assert_eq!(call("/mcp", 2).await.unwrap(), 429);
    assert_eq!(call("/other", 3).await.unwrap(), 200);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(endpoint.asked().len(), 2);
}

#[tokio::test]
async fn the_authorization_server_of_another_gateway_exchanges_the_token() {
    let upstream = Upstream::start().await;
    let key = Key::es256("first");
    let edge = Config::new("http://127.0.0.1:1/mcp", &[&key]);
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let secret = config.folder().join("edge.secret");
    certificates::write_secret(&secret, leaks::secret("secret-of-the-exchanging-edge"));
    let keys = config.write("corporate.json", test_support::key_set(&[&key]).to_string());
    let clients = json!([{
        "id": "edge", "method": "client_secret_basic", "secret_file": secret,
        "grant_types": "token-exchange", "scopes": ["tasks:read", "tasks:write"],
    }]);
    let audience = format!("{}/mcp", edge.public_url());
    let trusted =
        json!({ "issuer": ISSUER, "jwks_file": keys, "exchange": { "audiences": audience } });
    let config = with_authorization_server(config).await;
    let config = config
        .set("/authorization_server/clients", clients)
        .set("/authorization_server/trusted_issuers/corporate", trusted);
    let server = Gateway::start(config).await;

    let exchange = json!({
        "issuer": server.uri(""), "client_id": "edge", "client_secret_file": secret,
        "scope": "tasks:read", "resource": server.uri("/mcp"),
    });
    let target =
        json!({ "url": server.uri("/mcp"), "credentials": { "token_exchange": exchange } });
    let gateway = Gateway::start(edge.set("/resources/0/upstream", target)).await;
    let mut subjects = Vec::new();
    for person in ["ana", "ben", "ana"] {
        let token = token(&gateway, &key, person).sign();
        assert_eq!(
            status(&gateway, &token).await,
            200,
            "{}",
            gateway.log().await
        );
        let last = upstream.last();
        assert_eq!(last.header("x-mcp-client"), Some("edge"));
        subjects.push(last.header("x-mcp-subject").unwrap().to_owned());
    }
    // The server verified its own tokens, for the person each.
    assert_ne!(subjects[0], subjects[1]);
    assert_eq!(subjects[0], subjects[2]);
    let metrics = server.metrics().await;
    let labels = [("grant_type", "token_exchange"), ("outcome", "issued")];
    assert!(metrics.sum("mcp_gateway_oauth_tokens_total", &labels) >= 2.0);

    // A token for somebody else is good at the edge, and not exchanged.
    let bound = token(&gateway, &key, "ana")
        .claim("act", json!({ "sub": "x" }))
        .sign();
    assert_eq!(status(&gateway, &bound).await, 502);
    assert_eq!(gateway.refusals("upstream_credential_refused").await, 1.0);
}

#[tokio::test]
async fn the_example_for_token_exchange_works() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credential("Bearer issued-for-ana");
    let key = Key::es256("first");
    let (gateway, url) = example("upstream-exchange.yaml", &upstream, &endpoint, &key).await;
    let token = token(&gateway, &key, "ana").sign();
    assert_eq!(status(&gateway, &token).await, 200);
    let asked = endpoint.asked().pop().unwrap();
    assert_eq!(asked.parameter("resource"), Some(url));
    assert_eq!(asked.parameter("scope").as_deref(), Some("tasks:read"));
    assert_eq!(asked.parameter("subject_token"), Some(token));
}
