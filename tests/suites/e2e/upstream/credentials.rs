//! The gateway's own credentials for an upstream: a user name and a password, and tokens that are issued for the gateway itself.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::certificates::{self, Authority};
use e2e::client::{initialize, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::issuer::tokens::{TokenEndpoint, answer};
use e2e::sign_in::with_authorization_server;
use e2e::upstream::{Answer, Upstream, echo, with};
use e2e::{eventually, leaks};
use serde_json::{Value, json};
use test_support::{Key, Token, base64url_decode};

/// A gateway before `upstream` with these credentials for it.
async fn start(upstream: &Upstream, credentials: impl FnOnce(&Config) -> Value) -> (Gateway, Key) {
    let key = Key::es256("first");
    let config = Config::new(&upstream.url(), &[&key]);
    let target = json!({ "url": upstream.url(), "credentials": credentials(&config) });
    (
        Gateway::start(config.set("/resources/0/upstream", target)).await,
        key,
    )
}

pub(super) fn secret_file(config: &Config, name: &str, secret: &str) -> std::path::PathBuf {
    let file = config.folder().join(name);
    certificates::write_secret(&file, format!("{}\n", leaks::secret(secret)));
    file
}

async fn status(gateway: &Gateway, key: &Key) -> u16 {
    let token = Token::new(key, ISSUER, &gateway.uri("/mcp")).sign();
    gateway.post(initialize()).token(&token).send().await.status
}

pub(super) fn authorizations(upstream: &Upstream) -> Vec<String> {
    let seen = upstream.seen().into_iter();
    seen.map(|request| request.header("authorization").unwrap_or("none").to_owned())
        .collect()
}

#[tokio::test]
async fn a_user_name_and_a_password_from_a_file_that_may_change() {
    let upstream = Upstream::start().await;
    upstream.has_credentials(|found| found.starts_with("Basic "));
    let (gateway, key) = start(&upstream, |config| {
        let file = secret_file(config, "password", "open sesame of this test");
        json!({ "basic": { "username": "gateway", "password_file": file } })
    })
    .await;
    let basic =
        |password: &str| format!("Basic {}", STANDARD.encode(format!("gateway:{password}")));
    assert_eq!(status(&gateway, &key).await, 200);
    assert_eq!(
        authorizations(&upstream),
        [basic("open sesame of this test")]
    );
    secret_file(&gateway.config, "password", "another word of this test");
    eventually("the new password is sent", async || {
        status(&gateway, &key).await == 200
            && upstream.last().header("authorization") == Some(&*basic("another word of this test"))
    })
    .await;
}

#[tokio::test]
async fn a_token_for_the_gateway_is_found_asked_for_once_and_used_for_everybody() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credential("Bearer issued-for-gateway");
    let (gateway, key) = start(&upstream, |config| {
        let file = secret_file(config, "client.secret", "p:ss/w%rd+of-the-client");
        json!({ "client_credentials": {
            "issuer": endpoint.identifier(), "client_id": "https://mcp.example.com/", "client_secret_file": file,
            "scope": ["a", "b"], "resource": "https://tasks.internal/mcp",
        } })
    })
    .await;
    for _ in 0..3 {
        assert_eq!(status(&gateway, &key).await, 200);
    }
    assert_eq!(authorizations(&upstream), ["Bearer issued-for-gateway"; 3]);
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(
        asked[0].form,
        "grant_type=client_credentials&scope=a+b&resource=https%3A%2F%2Ftasks.internal%2Fmcp"
    );
    assert_eq!(
        asked[0].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let value = asked[0].headers["authorization"].to_str().unwrap();
    let decoded = STANDARD
        .decode(value.strip_prefix("Basic ").unwrap())
        .unwrap();
    assert_eq!(
        String::from_utf8(decoded).unwrap(),
        "https%3A%2F%2Fmcp.example.com%2F:p%3Ass%2Fw%25rd%2Bof-the-client"
    );
    let metrics = gateway.metrics().await;
    for (result, count) in [("issued", 1.0), ("cached", 2.0)] {
        let labels = [("resource", "/mcp"), ("result", result)];
        assert_eq!(
            metrics.sum("mcp_gateway_upstream_credentials_total", &labels),
            count
        );
    }
    let log = gateway.log().await;
    assert!(!log.contains("issued-for-gateway"), "{log}");
}

#[tokio::test]
async fn the_gateway_authenticates_with_a_key() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credential("Bearer issued-for-gateway");
    let leaf = Authority::new().leaf(&["gateway.example"]);
    let (gateway, key) = start(&upstream, |config| {
        let (_, file) = leaf.write(config.folder(), "client");
        json!({ "client_credentials": {
            "issuer": "https://login.example.com", "token_endpoint": endpoint.endpoint(),
            "client_id": "gate", "private_key_file": file, "private_key_id": "ours",
        } })
    })
    .await;
    assert_eq!(status(&gateway, &key).await, 200);
    let asked = endpoint.asked().pop().unwrap();
    assert!(!asked.headers.contains_key("authorization"));
    let assertion = asked.parameter("client_assertion").unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&base64url_decode(claims)).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("gate"), &json!("https://login.example.com"))
    );
}

#[tokio::test]
async fn a_token_that_the_upstream_refuses_is_replaced_and_its_401_stays_here() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credentials(|found| found.starts_with("Bearer number-"));
    let count = std::sync::atomic::AtomicUsize::new(0);
    endpoint.script(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let token = format!("number-{number}");
        answer(
            200,
            &json!({ "access_token": token, "token_type": "Bearer", "expires_in": 300 }),
        )
    });
    // It refuses the first token from now on, and knows no other.
    let accepting = |good: &'static str| {
        move |request: &e2e::upstream::Recorded| match request.header("authorization") {
            Some(found) if found == good && request.json()["method"] == "initialize" => {
                let result = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
                let mut answer = with(200, "application/json", result.to_string());
                let session = "the-upstreams".parse().unwrap();
                answer.headers_mut().insert("mcp-session-id", session);
                Answer::Full(answer)
            }
            Some(found) if found == good => echo(request),
            _ => {
                let mut answer = with(401, "text/plain", "");
                let challenge = "Bearer error=\"invalid_token\"".parse().unwrap();
                answer.headers_mut().insert("www-authenticate", challenge);
                Answer::Full(answer)
            }
        }
    };
    upstream.script(accepting("Bearer number-0"));
    let (gateway, key) = start(&upstream, |_| {
        json!({ "client_credentials": {
            "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none",
        } })
    })
    .await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).scope("tasks:read tasks:write");
    let token = token.sign();
    let post = async |body: String| gateway.post(body).token(&token).send().await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    assert_eq!(post(list.clone()).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1100)).await;

    upstream.script(accepting("Bearer number-1"));
    // What only reads is sent again, once, with another token.
    assert_eq!(post(list.clone()).await.status, 200);
    assert_eq!(
        authorizations(&upstream),
        ["Bearer number-0", "Bearer number-0", "Bearer number-1"]
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;

    upstream.script(accepting("Bearer number-2"));
    // What may change something is not; the next call has another token.
    let refused = post(tool(1, "a")).await;
    assert_eq!(refused.status, 502);
    assert_eq!(refused.challenge(), "");
    assert_eq!(gateway.refusals("upstream_auth").await, 1.0);
    assert_eq!(post(tool(1, "a")).await.status, 200);
    assert_eq!(
        upstream.last().header("authorization"),
        Some("Bearer number-2")
    );
    assert_eq!(upstream.hits(), 5);

    // In a session too, where a call goes to one endpoint alone.
    let opened = post(e2e::client::initialize()).await;
    let session = opened.header("mcp-session-id").to_owned();
    let in_session = async || {
        let call = gateway.post(tool(1, "a")).token(&token);
        call.with("mcp-session-id", &session).send().await.status
    };
    tokio::time::sleep(Duration::from_millis(1100)).await;
    upstream.script(accepting("Bearer number-3"));
    assert_eq!(in_session().await, 502);
    assert_eq!(in_session().await, 200);
    tokio::time::sleep(Duration::from_millis(1100)).await;

    // A server that refuses every token causes one question each second, and never a 401.
    upstream.script(accepting("Bearer nothing"));
    for _ in 0..10 {
        assert_eq!(post(list.clone()).await.status, 502);
    }
    let asked = endpoint.asked().len();
    assert!(asked <= 6, "{asked}");
    let metrics = gateway.metrics().await;
    let labels = [("resource", "/mcp"), ("result", "forgotten")];
    assert!(metrics.sum("mcp_gateway_upstream_credentials_total", &labels) >= 2.0);
}

#[tokio::test]
async fn without_a_token_a_call_is_502_and_works_again_when_there_is_one() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credential("Bearer issued-for-gateway");
    endpoint.script(|_| {
        answer(
            401,
            &json!({ "error": "invalid_client", "error_description": "unknown client" }),
        )
    });
    let (gateway, key) = start(&upstream, |_| {
        json!({ "client_credentials": {
            "token_endpoint": endpoint.endpoint(), "client_id": "gate", "client_auth": "none",
        } })
    })
    .await;
    assert_eq!(status(&gateway, &key).await, 502);
    assert_eq!(
        gateway.refusals("upstream_credential_unavailable").await,
        1.0
    );
    let line = gateway.logged("no token for the upstream").await;
    assert!(
        line.contains("error `invalid_client`, description `unknown client`"),
        "{line}"
    );
    assert_eq!(upstream.hits(), 0);
    endpoint.script(e2e::issuer::tokens::issued);
    eventually("it is issued", async || status(&gateway, &key).await == 200).await;
    gateway
        .logged("tokens for the upstream are issued again")
        .await;
}

#[tokio::test]
async fn the_authorization_server_of_another_gateway_issues_the_token() {
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")]);
    let secret = secret_file(&config, "edge.secret", "secret-of-the-edge-machine");
    let clients = json!([{
        "id": "edge", "method": "client_secret_basic", "secret_file": secret,
        "grant_types": "client_credentials", "scopes": ["tasks:read"],
    }]);
    let config = with_authorization_server(config).await;
    let server = Gateway::start(config.set("/authorization_server/clients", clients)).await;

    let key = Key::es256("first");
    let config = Config::new(&server.uri("/mcp"), &[&key]);
    let credentials = json!({ "client_credentials": {
        "issuer": server.uri(""), "client_id": "edge", "client_secret_file": secret,
        "scope": "tasks:read", "resource": server.uri("/mcp"),
    } });
    let target = json!({ "url": server.uri("/mcp"), "credentials": credentials });
    let gateway = Gateway::start(config.set("/resources/0/upstream", target)).await;
    for _ in 0..2 {
        assert_eq!(status(&gateway, &key).await, 200, "{}", gateway.log().await);
    }
    // The server verified a token of its own, for the edge itself.
    assert_eq!(upstream.last().header("x-mcp-client"), Some("edge"));
    let metrics = server.metrics().await;
    let labels = [("grant_type", "client_credentials"), ("outcome", "issued")];
    assert_eq!(metrics.sum("mcp_gateway_oauth_tokens_total", &labels), 1.0);
}

#[tokio::test]
async fn the_example_for_client_credentials_works() {
    let (upstream, endpoint) = (Upstream::start().await, TokenEndpoint::start().await);
    upstream.has_credential("Bearer issued-for-gateway");
    let key = Key::es256("first");
    let (gateway, url) =
        super::exchange::example("upstream-credentials.yaml", &upstream, &endpoint, &key).await;
    assert_eq!(status(&gateway, &key).await, 200);
    let asked = endpoint.asked().pop().unwrap();
    assert_eq!(asked.parameter("resource"), Some(url));
    assert_eq!(
        asked.parameter("grant_type").as_deref(),
        Some("client_credentials")
    );
}
