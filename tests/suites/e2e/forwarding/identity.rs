//! Headers to the upstream: the caller's identity, set only by the gateway, and nothing the client invented.

use std::collections::BTreeSet;

use e2e::client::initialize;
use e2e::world::World;
use serde_json::json;

#[tokio::test]
async fn the_upstream_receives_the_identity_of_the_caller() {
    let world = World::start().await;
    world
        .acceptance(world.gateway.post(initialize()).token(&world.writer()))
        .await
        .unwrap();
    let last = world.upstream.last();
    assert_eq!(last.header("x-mcp-subject"), Some("alice"));
    assert_eq!(last.header("x-mcp-issuer"), Some("https://issuer.test/"));
    assert_eq!(last.header("x-mcp-client"), Some("inspector"));
    assert_eq!(last.header("x-mcp-scope"), Some("tasks:read tasks:write"));
}

#[tokio::test]
async fn only_listed_headers_are_forwarded() {
    // 43, 61
    let world = World::start().await;
    let call = world.gateway.post(initialize()).token(&world.reader());
    let call = [
        ("cookie", "sid=1"),
        ("proxy-authorization", "Basic eA=="),
        ("accept-encoding", "gzip, br"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-user", "root"),
        ("x-forwarded-prefix", "/admin"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x-auth-subject", "root"),
        ("x-api-key", "1"),
        ("referer", "https://page.example"),
        ("te", "trailers"),
        ("x-mcp-role", "admin"),
        ("user-agent", "inspector/1"),
        ("accept-language", "de"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("tracestate", "a=b"),
        ("baggage", "k=v"),
        ("mcp-protocol-version", "2025-11-25"),
    ]
    .into_iter()
    .fold(call, |call, (name, value)| call.with(name, value));
    world.acceptance(call).await.unwrap();
    let last = world.upstream.last();
    let names: BTreeSet<_> = last.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(last.header("accept-encoding"), Some("identity"));
    let expected = BTreeSet::from([
        "accept",
        "accept-encoding",
        "accept-language",
        "baggage",
        "content-length",
        "content-type",
        "host",
        "mcp-protocol-version",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-mcp-client",
        "x-mcp-issuer",
        "x-mcp-scope",
        "x-mcp-subject",
    ]);
    assert_eq!(names, expected);
    assert_eq!(
        last.header("host"),
        Some(world.upstream.address().to_string().as_str())
    );
    assert_eq!(last.header("user-agent"), Some("inspector/1"));
}

#[tokio::test]
async fn identity_header_names_can_be_changed_and_switched_off() {
    let world = World::with(|config| {
        config.set(
            "/resources/0/identity_headers",
            json!({ "subject": "x-auth-user", "issuer": null, "client": null, "scope": null }),
        )
    })
    .await;
    let call = world.gateway.post(initialize()).token(&world.reader());
    world
        .acceptance(
            call.with("x-mcp-subject", "root")
                .with("x-mcp-issuer", "evil")
                .with("x-auth-user", "root"),
        )
        .await
        .unwrap();
    let last = world.upstream.last();
    assert_eq!(last.header("x-auth-user"), Some("alice"));
    for name in [
        "x-mcp-subject",
        "x-mcp-issuer",
        "x-mcp-client",
        "x-mcp-scope",
    ] {
        assert_eq!(last.header(name), None, "{name}");
    }
}
