//! A request for another host than the one its TLS connection was opened for (attack 58, RFC 9110 §15.5.20).

use std::sync::Arc;

use e2e::certificates::client;
use e2e::client::raw::{Raw, RawReply};
use e2e::client::raw_http2::{Outcome, RawHttp2};
use e2e::world::Table;
use e2e::world::secure::Secure;
use rustls::ClientConfig;

const MESSAGE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// The answer to a request for `host` on a connection opened for `name`.
async fn answer(setting: &Secure, name: &'static str, host: &str) -> RawReply {
    let mut config = ClientConfig::clone(&client(&setting.authority, &[b"http/1.1"]));
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(e2e::world::secure::Anyone));
    let address = setting.gateway.config.public;
    let mut connection = Raw::connect_tls(address, Arc::new(config), name).await;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{MESSAGE}",
        setting.token(),
        MESSAGE.len()
    );
    connection.send(request).await;
    connection.reply().await.expect("an answer")
}

#[tokio::test]
async fn a_connection_for_one_host_carries_no_request_for_another() {
    let setting = Secure::start().await;
    let port = setting.gateway.config.public.port();
    let (localhost, tasks) = (format!("localhost:{port}"), format!("tasks.example:{port}"));
    let mut table = Table::default();
    for (name, host, status) in [
        ("localhost", &localhost, 200),
        ("LOCALHOST", &localhost, 200),
        ("tasks.example", &tasks, 200),
        ("localhost", &tasks, 421),
        ("tasks.example", &localhost, 421),
        ("Tasks.Example", &localhost, 421),
        // Names that are not served here, and no name at all, are not checked.
        ("a.wild.example", &localhost, 200),
        ("balancer.example", &tasks, 200),
        ("127.0.0.1", &tasks, 200),
        // A host that is not served here is refused as such.
        ("localhost", &"evil.example".to_owned(), 403),
    ] {
        let hits = setting.upstream.hits();
        let reply = answer(&setting, name, host).await;
        let row = format!("{name} then {host}");
        table.check(&row, reply.status == status, || {
            format!("{} instead of {status}", reply.status)
        });
        let forwarded = setting.upstream.hits() > hits;
        table.check(&row, forwarded == (status == 200), || {
            format!("forwarded: {forwarded}")
        });
    }
    assert_eq!(setting.gateway.counted("misdirected", 3.0).await, 3.0);
}

#[tokio::test]
async fn a_misdirected_request_is_421_and_leaves_the_connection_usable() {
    let setting = Secure::start().await;
    let port = setting.gateway.config.public.port();
    let reply = answer(&setting, "localhost", &format!("tasks.example:{port}")).await;
    assert_eq!(reply.status, 421);
    assert!(
        reply.text().contains(r#""error":"misdirected""#),
        "{}",
        reply.text()
    );
    assert_eq!(reply.header("www-authenticate"), "");
    assert_ne!(reply.header("connection"), "close");
}

#[tokio::test]
async fn misdirected_requests_are_refused_over_http_2_too() {
    let setting = Secure::start().await;
    let port = setting.gateway.config.public.port();
    let bearer = format!("Bearer {}", setting.token());
    for (host, forwarded) in [("tasks.example", 0), ("localhost", 1)] {
        let authority = format!("{host}:{port}");
        let fields: Vec<(&[u8], &[u8])> = vec![
            (b":method", b"POST"),
            (b":scheme", b"https"),
            (b":authority", authority.as_bytes()),
            (b":path", b"/mcp"),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
            (b"authorization", bearer.as_bytes()),
        ];
        let config = client(&setting.authority, &[b"h2"]);
        let mut connection = RawHttp2::connect(setting.gateway.config.public, config).await;
        let outcome = connection.request(&fields, MESSAGE.as_bytes()).await;
        assert_eq!(outcome, Outcome::Answered, "{host}");
        assert_eq!(setting.upstream.hits(), forwarded, "{host}");
    }
    assert_eq!(setting.gateway.counted("misdirected", 1.0).await, 1.0);
}
