//! TLS to an upstream: another name, pinned keys, the gateway's own certificate, and what the operator reads where one does not fit.

use std::sync::Arc;

use e2e::certificates::{Authority, Leaf};
use e2e::client::initialize;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::Upstream;
use serde_json::{Value, json};
use test_support::{Key, Token};

/// A server that speaks HTTP/2 and HTTP/1.1, or HTTP/1.1 alone.
fn offering(mut server: Arc<rustls::ServerConfig>, http2: bool) -> Arc<rustls::ServerConfig> {
    let protocols: &[&[u8]] = match http2 {
        true => &[b"h2", b"http/1.1"],
        false => &[b"http/1.1"],
    };
    let own = Arc::make_mut(&mut server);
    own.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    server
}

/// A gateway before `upstream`, which it reaches over TLS by its address, with these keys and `authority` as the CA.
async fn before(upstream: &Upstream, authority: &Authority, keys: Value) -> (Gateway, Key) {
    let key = Key::es256("first");
    let config = Config::new(&upstream.url(), &[&key]);
    let file = config.write("ca.pem", authority.pem());
    let url = format!("https://{}/mcp", upstream.address());
    let mut target = json!({ "url": url, "ca_file": file });
    for (name, value) in keys.as_object().into_iter().flatten() {
        target[name] = value.clone();
    }
    (
        Gateway::start(config.set("/resources/0/upstream", target)).await,
        key,
    )
}

async fn status(gateway: &Gateway, key: &Key) -> u16 {
    let token = Token::new(key, ISSUER, &gateway.uri("/mcp")).sign();
    gateway.post(initialize()).token(&token).send().await.status
}

/// Calls until the log has these words, and returns their line. With TLS 1.3 the upstream refuses a certificate after the handshake, and
/// where it resets the connection at once, its alert may be lost.
async fn refused(gateway: &Gateway, key: &Key, words: &str) -> String {
    eventually(words, async || {
        assert_eq!(status(gateway, key).await, 502);
        gateway.log().await.contains(words)
    })
    .await;
    gateway.logged(words).await
}

#[tokio::test]
async fn another_name_and_a_pinned_key_are_expected_of_the_upstream() {
    let authority = Authority::new();
    let (leaf, other) = (
        authority.leaf(&["tasks.internal"]),
        authority.leaf(&["b.internal"]),
    );
    for http2 in [false, true] {
        let upstream = Upstream::start_tls(offering(leaf.server(), http2)).await;
        let keys = json!({ "server_name": "tasks.internal", "pins": [other.pin(), leaf.pin()] });
        let (gateway, key) = before(&upstream, &authority, keys).await;
        assert_eq!(status(&gateway, &key).await, 200, "{http2}");

        let (gateway, key) = before(&upstream, &authority, json!({})).await;
        assert_eq!(status(&gateway, &key).await, 502);
        gateway
            .logged("it is not for 127.0.0.1 (the host of resources.upstream.url); found a certificate for `tasks.internal`")
            .await;

        let keys = json!({ "server_name": "tasks.internal", "pins": other.pin() });
        let (gateway, key) = before(&upstream, &authority, keys).await;
        assert_eq!(status(&gateway, &key).await, 502);
        let found = format!(
            "its key is {}, expected one of resources.upstream.pins",
            leaf.pin()
        );
        gateway.logged(&found).await;
        assert_eq!(upstream.hits(), 1);
    }
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_and_reads_it_again_when_it_changes() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server: Leaf = authority.leaf(&["127.0.0.1"]);
    for http2 in [false, true] {
        let config = offering(server.server_requiring(&clients), http2);
        let upstream = Upstream::start_tls(config).await;
        let (gateway, key) = before(&upstream, &authority, json!({})).await;
        let line = refused(&gateway, &key, "requires a client certificate").await;
        assert!(
            line.contains("resources.upstream.certificate_file"),
            "{line}"
        );

        let folder = tempfile::tempdir().unwrap();
        let (file, private_key) = authority.leaf(&["gateway"]).write(folder.path(), "client");
        let keys = json!({ "certificate_file": file, "key_file": private_key });
        let (gateway, key) = before(&upstream, &authority, keys).await;
        refused(&gateway, &key, "refused the gateway's certificate").await;
        assert_eq!(upstream.hits(), 0);

        clients.leaf(&["gateway"]).write(folder.path(), "client");
        eventually("the new certificate is shown", async || {
            status(&gateway, &key).await == 200
        })
        .await;
    }
}
