//! Assertions of the gateway, required of every call: on the wire, with the keys at a URL.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::get};
use serde_json::{Value, json};
use test_support::{Key, Token, key_set, now};
use tokio::net::TcpListener;
use upstream_tasks::{KeySource, Listener, RequiredAssertion, ServeConfig, TaskStore, serve};

const AUDIENCE: &str = "tasks";
const ISSUER: &str = "https://mcp.example.com";
const HEADER: &str = "x-gateway-assertion";

/// A gateway's keys at a URL, which can be changed.
struct Keys {
    address: SocketAddr,
    set: Arc<Mutex<Option<Value>>>,
}

impl Keys {
    async fn start(key: &Key) -> Self {
        let set = Arc::new(Mutex::new(Some(key_set(&[key]))));
        let shown = set.clone();
        let router = Router::new().route(
            "/keys",
            get(async move || {
                let set = shown.lock().unwrap().clone();
                set.map(|set| set.to_string())
                    .ok_or(axum::http::StatusCode::BAD_GATEWAY)
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, set }
    }
}

/// A task server that requires assertions.
struct Server {
    url: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start(keys: KeySource) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = TaskStore::open(folder.path().join("tasks.json")).unwrap();
        let listener = Listener::bind_tcp("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let url = format!("http://{}/mcp", listener.address());
        let config = ServeConfig {
            assertion: Some(RequiredAssertion {
                keys,
                audience: AUDIENCE.to_owned(),
                issuer: Some(ISSUER.to_owned()),
                header: HEADER.parse().unwrap(),
            }),
            ..ServeConfig::default()
        };
        tokio::spawn(serve(listener, store, config, std::future::pending()));
        Self {
            url,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        }
    }

    /// Status and body of a call that claims to be of root, with these assertions.
    async fn call(&self, assertions: &[&str]) -> (u16, String) {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "secure_echo", "arguments": { "message": "hello" }, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": { "name": "wire", "version": "1" },
                "io.modelcontextprotocol/clientCapabilities": {},
            } },
        });
        let call = self
            .http
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "secure_echo")
            .header("x-mcp-subject", "root")
            .body(message.to_string());
        let call = assertions
            .iter()
            .fold(call, |call, assertion| call.header(HEADER, *assertion));
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn status(&self, assertion: &str) -> u16 {
        self.call(&[assertion]).await.0
    }
}

fn assertion(key: &Key) -> Token {
    Token::new(key, ISSUER, AUDIENCE)
        .header("typ", "mcp-assertion+jwt")
        .claim("token_iss", "https://login.example.com/")
        .claim("exp", now() + 60)
}

#[tokio::test]
async fn a_call_is_of_the_caller_that_its_assertion_names() {
    let key = Key::es256("one");
    let keys = Keys::start(&key).await;
    let server = Server::start(KeySource::Url(format!("http://{}/keys", keys.address))).await;
    let (status, text) = server.call(&[&assertion(&key).sign()]).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("alice") && !text.contains("root"), "{text}");
}

#[tokio::test]
async fn a_call_without_exactly_one_valid_assertion_is_refused() {
    let key = Key::es256("one");
    let keys = Keys::start(&key).await;
    let server = Server::start(KeySource::Url(format!("http://{}/keys", keys.address))).await;
    let good = assertion(&key).sign();
    for (name, assertions) in [
        ("none", &[][..]),
        ("two", &[good.as_str(), good.as_str()]),
        ("a good and a bad one", &[good.as_str(), "x"]),
        ("no JWT", &["x"]),
    ] {
        assert_eq!(server.call(assertions).await.0, 401, "{name}");
    }
    for (name, bad) in [
        ("another key", assertion(&Key::es256("one"))),
        ("expired", assertion(&key).claim("exp", now() - 10)),
        ("another audience", assertion(&key).claim("aud", "notes")),
        (
            "another issuer",
            assertion(&key).claim("iss", "https://other.example"),
        ),
        ("another type", assertion(&key).header("typ", "at+jwt")),
        ("unsigned", assertion(&key).header("alg", "none")),
    ] {
        assert_eq!(server.status(&bad.sign()).await, 401, "{name}");
    }
    assert_eq!(server.status(&good).await, 200);
}

#[tokio::test]
async fn a_rotated_key_is_found_and_an_outage_of_the_keys_changes_nothing() {
    let (old, new) = (Key::es256("old"), Key::eddsa("new"));
    let keys = Keys::start(&old).await;
    let server = Server::start(KeySource::Url(format!("http://{}/keys", keys.address))).await;
    assert_eq!(server.status(&assertion(&old).sign()).await, 200);
    *keys.set.lock().unwrap() = Some(key_set(&[&old, &new]));
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while server.status(&assertion(&new).sign()).await != 200 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the new key is not found"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(server.status(&assertion(&old).sign()).await, 200);
    *keys.set.lock().unwrap() = None;
    assert_eq!(server.status(&assertion(&new).sign()).await, 200);
    assert_eq!(
        server.status(&assertion(&Key::es256("third")).sign()).await,
        401
    );
    assert_eq!(server.status(&assertion(&new).sign()).await, 200);
}

#[tokio::test]
async fn without_keys_every_call_is_refused() {
    let key = Key::es256("one");
    for source in [
        KeySource::File("/nonexistent/keys.json".into()),
        KeySource::Url("http://127.0.0.1:9/keys".to_owned()),
    ] {
        let server = Server::start(source).await;
        assert_eq!(server.status(&assertion(&key).sign()).await, 401);
    }
}
