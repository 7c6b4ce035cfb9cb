//! What the upstream is told: the caller's identity, by the gateway alone, and nothing the client made up (threats 43, 60–65).

use std::collections::BTreeSet;

use e2e::client::initialize;
use e2e::raw;
use e2e::world::{Table, World};
use serde_json::json;

/// A raw POST with these lines beside the good head.
async fn send(world: &World, lines: &str) -> u16 {
    let body = initialize();
    let request = format!(
        "{}{lines}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    );
    raw::once(world.gateway.config.public, request)
        .await
        .unwrap()
        .status
}

#[tokio::test]
async fn the_upstream_learns_who_calls() {
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
async fn only_listed_headers_go_on() {
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
    let expected = BTreeSet::from([
        "accept",
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
async fn spoofed_identity_never_arrives() {
    // 62, 63, 64
    let world = World::start().await;
    let mut table = Table::default();
    for lines in [
        "X-Mcp-Subject: root\r\n",
        "x-mcp-subject: root\r\nX-MCP-SUBJECT: root\r\n",
        "X_Mcp_Subject: root\r\n",
        "x-mcp_subject: root\r\n",
        "X.Mcp.Subject: root\r\n",
        "Connection: x-mcp-subject, x-mcp-issuer\r\n",
        "Connection: close, X-Mcp-Subject\r\n",
    ] {
        let status = send(&world, lines).await;
        table.check(lines, status == 200, || format!("{status}"));
        let headers = world.upstream.last().headers;
        let subjects: Vec<_> = headers.get_all("x-mcp-subject").iter().collect();
        table.check(lines, subjects == ["alice"], || format!("{subjects:?}"));
        table.check(lines, !format!("{headers:?}").contains("root"), || {
            format!("{headers:?}")
        });
    }
}

#[tokio::test]
async fn a_missing_claim_leaves_no_room_for_a_spoofed_one() {
    let world = World::start().await;
    let token = world.token().without("client_id").sign();
    world
        .acceptance(
            world
                .gateway
                .post(initialize())
                .token(&token)
                .with("x-mcp-client", "admin-console"),
        )
        .await
        .unwrap();
    let client = world
        .upstream
        .last()
        .header("x-mcp-client")
        .map(str::to_owned);
    assert!(
        client.is_none() || client.as_deref() == Some(""),
        "{client:?}"
    );
}

#[tokio::test]
async fn names_can_be_chosen_and_switched_off() {
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

#[tokio::test]
async fn claims_cannot_break_out_of_a_header() {
    // 65, 143
    let world = World::start().await;
    let mut table = Table::default();
    for (subject, expected) in [
        ("zażółć", "za%C5%BC%C3%B3%C5%82%C4%87"),
        ("a\r\nX-Mcp-Scope: admin", "a%0D%0AX-Mcp-Scope: admin"),
        (
            "auth0|5f7c8ec7c33c6c004bbafe82",
            "auth0|5f7c8ec7c33c6c004bbafe82",
        ),
        ("a b", "a b"),
        (" a", "%20a"),
        ("a\u{7f}", "a%7F"),
    ] {
        let token = world.token().subject(subject).sign();
        if table
            .row(
                subject,
                world
                    .acceptance(world.gateway.post(initialize()).token(&token))
                    .await,
            )
            .is_none()
        {
            continue;
        }
        let last = world.upstream.last();
        table.check(
            subject,
            last.header("x-mcp-subject") == Some(expected),
            || format!("{:?}", last.header("x-mcp-subject")),
        );
        table.check(
            subject,
            last.header("x-mcp-scope") == Some("tasks:read"),
            || format!("{:?}", last.header("x-mcp-scope")),
        );
    }
    for line in world.gateway.log().lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "one line per event: {line}"
        );
    }
}
