//! TLS at the listener: versions, ALPN, the certificate by name, and HTTP/2 over it.

use std::time::Duration;

use e2e::certificates::client;
use e2e::client::raw::{self, Raw};
use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, request};
use e2e::upstream::{Answer, Chunk, head, steps};
use e2e::world::secure::Secure as Setting;
use http::Version;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::process::Command;

#[tokio::test]
async fn both_versions_of_http_are_offered() {
    let setting = Setting::start().await;
    for (http1, version) in [(true, Version::HTTP_11), (false, Version::HTTP_2)] {
        let answer = setting
            .post(&setting.http(http1), initialize())
            .open()
            .await;
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    assert_eq!(setting.upstream.hits(), 2);
    assert_eq!(
        setting
            .handshake("localhost", &[b"h2", b"http/1.1"])
            .await
            .1
            .as_deref(),
        Some(b"h2".as_slice())
    );
    assert_eq!(
        setting
            .handshake("localhost", &[b"http/1.1"])
            .await
            .1
            .as_deref(),
        Some(b"http/1.1".as_slice())
    );
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name() {
    let setting = Setting::start().await;
    let [first, second] = [setting.leaves[0].der(), setting.leaves[1].der()];
    for (name, expected) in [
        ("localhost", first),
        ("tasks.example", second),
        ("TASKS.example", second),
        ("a.wild.example", second),
        ("a.b.wild.example", first),
        ("unknown.example", first),
        ("127.0.0.1", first),
    ] {
        assert!(
            setting.handshake(name, &[b"http/1.1"]).await.0 == expected,
            "{name}"
        );
    }
}

/// The output of openssl's client with these arguments.
async fn openssl(setting: &Setting, arguments: &[&str]) -> std::process::Output {
    let address = setting.gateway.config.public.to_string();
    Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .args(["-servername", "localhost"])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .expect("openssl runs")
}

#[tokio::test]
async fn old_versions_of_tls_are_refused() {
    // 156
    let setting = Setting::start().await;
    for (version, accepted) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let output = openssl(&setting, &[version, "-cipher", "DEFAULT@SECLEVEL=0"]).await;
        assert_eq!(
            output.status.success(),
            accepted,
            "{version}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[tokio::test]
async fn ciphers_without_authenticated_encryption_are_refused() {
    // 156: CBC ciphers, and those without forward secrecy.
    let setting = Setting::start().await;
    for (cipher, accepted) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", true),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", true),
        ("ECDHE-ECDSA-AES128-SHA", false),
        ("ECDHE-ECDSA-AES128-SHA256", false),
        ("ECDHE-ECDSA-AES256-SHA384", false),
        ("ECDHE-ECDSA-AES128-CCM", false),
        ("AES128-GCM-SHA256", false),
        ("DHE-RSA-AES128-GCM-SHA256", false),
    ] {
        let output = openssl(&setting, &["-tls1_2", "-cipher", cipher]).await;
        assert_eq!(
            output.status.success(),
            accepted,
            "{cipher}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[tokio::test]
async fn a_client_that_offers_neither_version_of_http_gets_no_handshake() {
    // 156
    let setting = Setting::start().await;
    let config = client(&setting.authority, &[b"acme-tls/1"]);
    let address = setting.gateway.config.public;
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let name = ServerName::try_from("localhost").unwrap();
    assert!(connector.connect(name, stream).await.is_err());
}

#[tokio::test]
async fn plain_http_on_the_tls_port_gets_no_response() {
    // 157
    let setting = Setting::start().await;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
        setting.token()
    );
    let reply = raw::once(setting.gateway.config.public, request).await;
    assert!(reply.is_none() || reply.is_some_and(|reply| reply.status == 400));
    assert_eq!(setting.upstream.hits(), 0);
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed() {
    // 100
    let setting = Setting::start().await;
    let mut silent = Raw::connect(setting.gateway.config.public).await;
    assert!(silent.closes(Duration::from_secs(4)).await);
    let mut half = Raw::connect(setting.gateway.config.public).await;
    half.send(b"\x16\x03\x01").await;
    assert!(half.closes(Duration::from_secs(4)).await);
}

#[tokio::test]
async fn refusals_over_http_2_leave_the_connection_usable() {
    let setting = Setting::start().await;
    let http = setting.http(false);
    let answer = setting
        .post(&http, initialize())
        .without("authorization")
        .open()
        .await;
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (401, Version::HTTP_2)
    );
    let challenge = answer.headers()["www-authenticate"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        challenge.contains(
            &setting
                .gateway
                .uri("/.well-known/oauth-protected-resource/mcp")
        ),
        "{challenge}"
    );
    assert_eq!(setting.post(&http, initialize()).send().await.status, 200);
}

#[tokio::test]
async fn events_are_delivered_promptly_over_both_versions() {
    // 115
    let setting = Setting::start().await;
    for http1 in [true, false] {
        let mut feeds = setting.upstream.streams("text/event-stream");
        let answer = tokio::spawn(
            setting
                .post(&setting.http(http1), request(1, "tools/list", json!({})))
                .open(),
        );
        let feed = feeds.next().await;
        feed.event("first");
        let mut events = Events::new(answer.await.unwrap());
        assert_eq!(events.data().await, "first");
        feed.event("second");
        assert_eq!(events.data().await, "second");
        drop(feed);
        assert_eq!(events.next().await, Item::End);
    }
}

#[tokio::test]
async fn an_interrupted_stream_is_visible_over_both_versions() {
    // 114
    let setting = Setting::start().await;
    setting.upstream.script(|_| {
        let head = head(200, &[("content-type", "text/event-stream")]);
        Answer::Stream(
            head,
            steps([Chunk::Data("data: x\n\n".into()), Chunk::Break]),
        )
    });
    for http1 in [true, false] {
        let call = setting.post(&setting.http(http1), initialize());
        let mut events = match call.attempt().await {
            Ok(answer) => Events::new(answer),
            // A reset can overtake everything before it, the head included.
            Err(error) => {
                assert!(!http1 && error.is_request(), "{error:?}");
                continue;
            }
        };
        // HTTP/2 can drop what came before the reset.
        let end = match events.next().await {
            Item::Event(_) => events.next().await,
            end => end,
        };
        assert_eq!(end, Item::Broken, "http1: {http1}");
    }
}

#[tokio::test]
async fn a_cancelled_http_2_stream_frees_the_upstream_and_keeps_the_connection() {
    // 116
    let setting = Setting::start().await;
    let http = setting.http(false);
    let mut feeds = setting.upstream.streams("text/event-stream");
    let answer = tokio::spawn(setting.post(&http, initialize()).open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    drop(events);
    feed.gone(Duration::from_secs(1)).await;
    setting.upstream.script(e2e::upstream::echo);
    assert_eq!(setting.post(&http, initialize()).send().await.status, 200);
}

#[tokio::test]
async fn large_bodies_pass_over_http_2() {
    let setting = Setting::start().await;
    let body = request(1, "ping", json!({ "x": "y".repeat(1 << 20) }));
    let reply = setting
        .post(&setting.http(false), body.clone())
        .send()
        .await;
    assert_eq!(reply.status, 200);
    assert!(setting.upstream.last().body == body.as_bytes());
    let too_large = request(1, "ping", json!({ "x": "y".repeat(5 << 20) }));
    match setting
        .post(&setting.http(false), too_large)
        .attempt()
        .await
    {
        Ok(answer) => assert_eq!(answer.status(), 413),
        Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
    }
    assert_eq!(setting.upstream.hits(), 1);
}

#[tokio::test]
async fn http_2_without_a_preface_or_a_request_is_closed() {
    // Silence after a finished handshake.
    let setting = Setting::start().await;
    let connect = async || {
        let config = client(&setting.authority, &[b"h2"]);
        Raw::connect_tls(setting.gateway.config.public, config, "localhost").await
    };
    let mut silent = connect().await;
    assert!(silent.closes(Duration::from_secs(5)).await, "no preface");
    let mut preface = connect().await;
    preface
        .send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    assert!(preface.closes(Duration::from_secs(5)).await, "no request");
}

#[tokio::test]
async fn the_expiry_of_each_certificate_is_a_metric() {
    let setting = Setting::start().await;
    let metrics = setting.gateway.metrics().await;
    let name = "mcp_gateway_certificate_expiry_timestamp_seconds";
    assert!(
        metrics.has(name, &[]) && metrics.sum(name, &[]) > 2.0 * test_support::now() as f64,
        "{metrics:?}"
    );
}
