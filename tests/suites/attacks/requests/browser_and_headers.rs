//! Numbers 55–66: browser origins and headers of clients.

use std::collections::BTreeSet;

use e2e::client::raw;
use e2e::client::{Call, initialize};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::Recorded;
use e2e::upstream::tasks::Tasks;
use e2e::world::refusal::Watch;
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;
use test_support::{Key, Token};

const LISTED: &str = "https://inspector.example";
const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

async fn listing() -> World {
    World::with(|config| config.set("/origins", json!([LISTED]))).await
}

/// A raw, good POST with these lines in addition to its head; returns what the upstream received.
async fn forwarded(world: &World, lines: &str) -> Result<Recorded, String> {
    let body = initialize();
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let hits = world.upstream.hits();
    let bytes = format!("{}{lines}{length}", world.raw_head());
    let reply = raw::once(world.gateway.config.public, bytes).await;
    match reply.map(|reply| reply.status) {
        Some(200) if world.upstream.hits() == hits + 1 => Ok(world.upstream.last()),
        other => Err(format!("{other:?}")),
    }
}

/// A raw POST with these lines instead of `Host`.
fn with_host(world: &World, host: &str) -> String {
    let own = format!("Host: {}\r\n", world.gateway.config.public);
    let body = initialize();
    let head = world.raw_head().replacen(&own, host, 1);
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn attack_055_a_foreign_origin_is_refused_before_authentication() {
    let world = listing().await;
    let own = world.gateway.config.public_url();
    let mut table = Table::default();
    for origin in [
        "https://evil.example",
        "null",
        "",
        "https://inspector.example.evil.example",
        "https://evil-inspector.example",
        "https://sub.inspector.example",
        "https://inspector.example:444",
        "http://inspector.example",
        "https://user@inspector.example",
        "https://inspector.example/",
        "https://inspector.example https://inspector.example",
        "http://localhost:1",
        &own.replace("http://", "https://"),
    ] {
        for token in [None, Some(world.reader())] {
            let call = world.gateway.post(initialize()).with("origin", origin);
            let call = match &token {
                Some(token) => call.token(token),
                None => call,
            };
            if let Some(reply) = table.row(origin, world.refusal(call, 403, "origin").await) {
                let has_cors = reply.headers.contains_key("access-control-allow-origin");
                table.check(origin, !has_cors, || format!("{:?}", reply.headers));
            }
        }
    }
    let twice = world
        .gateway
        .post(initialize())
        .with("origin", LISTED)
        .also("origin", LISTED);
    table.row("two", world.refusal(twice, 403, "origin").await);
    for origin in [LISTED, &own] {
        let call = world.gateway.post(initialize()).token(&world.reader());
        table.row(origin, world.acceptance(call.with("origin", origin)).await);
    }
    let public = world
        .gateway
        .get(METADATA)
        .with("origin", "https://evil.example")
        .send()
        .await;
    table.check("a document", public.status == 200, || {
        format!("{}", public.status)
    });
}

#[tokio::test]
async fn attack_056_a_client_without_origin_is_served() {
    let world = listing().await;
    let call = world.gateway.post(initialize()).token(&world.reader());
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn attack_057_exactly_one_known_host_is_required() {
    let world = World::with(|config| config.set("/hosts", json!(["gateway.example"]))).await;
    let own = world.gateway.config.public;
    let port = own.port();
    let mut table = Table::default();
    for (name, host, status, reason) in [
        ("missing", String::new(), 400, "bad_framing"),
        (
            "repeated",
            format!("Host: {own}\r\nHost: {own}\r\n"),
            400,
            "bad_framing",
        ),
        (
            "two",
            format!("Host: {own}\r\nHost: evil.example\r\n"),
            400,
            "bad_framing",
        ),
        (
            "a list",
            format!("Host: {own}, evil.example\r\n"),
            400,
            "bad_framing",
        ),
        (
            "userinfo",
            format!("Host: user@{own}\r\n"),
            400,
            "bad_framing",
        ),
        ("a path", format!("Host: {own}/mcp\r\n"), 400, "bad_framing"),
        ("unknown", "Host: evil.example\r\n".to_owned(), 403, "host"),
        (
            "another port",
            "Host: 127.0.0.1:1\r\n".to_owned(),
            403,
            "host",
        ),
        (
            "without its port",
            "Host: 127.0.0.1\r\n".to_owned(),
            403,
            "host",
        ),
        (
            "a rebinding name",
            format!("Host: rebind.127.0.0.1.example:{port}\r\n"),
            403,
            "host",
        ),
        (
            "a longer name",
            "Host: gateway.example.evil.example\r\n".to_owned(),
            403,
            "host",
        ),
        (
            "a trailing dot",
            "Host: gateway.example.\r\n".to_owned(),
            403,
            "host",
        ),
    ] {
        table.row(
            name,
            world
                .raw_refusal(with_host(&world, &host), status, reason)
                .await,
        );
    }
    for (name, host) in [
        ("the gateway's", format!("Host: {own}\r\n")),
        ("listed", "Host: gateway.example\r\n".to_owned()),
        ("letter case", "Host: Gateway.EXAMPLE\r\n".to_owned()),
        (
            "the default port",
            "Host: gateway.example:80\r\n".to_owned(),
        ),
    ] {
        let status = raw::once(own, with_host(&world, &host))
            .await
            .map(|reply| reply.status);
        table.check(name, status == Some(200), || format!("{status:?}"));
    }
    let document = format!("GET {METADATA} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    table.row("a document", world.raw_refusal(document, 403, "host").await);
}

#[tokio::test]
async fn attack_058_a_request_for_another_host_than_its_connection_is_refused() {
    let secure = Secure::start().await;
    let (h1, h2) = (secure.http(true), secure.http(false));
    let mut table = Table::default();
    let call = secure.post(&h2, initialize()).with("host", "evil.example");
    // The client library can refuse to send it; what is sent is refused.
    if let Ok(answer) = call.attempt().await {
        table.check("host and :authority", answer.status() == 400, || {
            format!("{}", answer.status())
        });
    }
    // Both names are configured, the connection is for the first of them.
    let other = format!("tasks.example:{}", secure.gateway.config.public.port());
    let watch = Watch::begin(&secure.gateway, &secure.upstream, "misdirected").await;
    let reply = secure
        .post(&h1, initialize())
        .with("host", &other)
        .send()
        .await;
    table.row("SNI and Host", watch.check(&reply, 421).await);
    let own = format!("https://{other}/mcp");
    let token = secure.token();
    let reply = Call::post(&h1, own, initialize())
        .token(&token)
        .send()
        .await;
    table.check("its own connection", reply.status == 200, || reply.text());
}

#[tokio::test]
async fn attack_059_preflights_of_foreign_origins_get_no_cors_headers() {
    let world = listing().await;
    let preflight = |origin: &str| {
        let call = world
            .gateway
            .request(Method::OPTIONS, "/mcp")
            .with("origin", origin);
        call.with("access-control-request-method", "POST").with(
            "access-control-request-headers",
            "authorization,mcp-param-a,x-evil",
        )
    };
    let mut table = Table::default();
    for origin in ["https://evil.example", "null"] {
        let reply = world.refusal(preflight(origin), 403, "origin").await;
        if let Some(reply) = table.row(origin, reply) {
            let names = reply.headers.keys().map(http::HeaderName::as_str);
            let present = names
                .filter(|name| name.starts_with("access-control-"))
                .count();
            table.check(origin, present == 0, || format!("{:?}", reply.headers));
        }
    }
    let reply = preflight(LISTED).send().await;
    let allowed = reply.header("access-control-allow-headers").to_lowercase();
    let right = reply.status == 204
        && reply.header("access-control-allow-origin") == LISTED
        && allowed.contains("authorization")
        && allowed.contains("mcp-param-a")
        && !allowed.contains("x-evil")
        && reply.header("access-control-allow-credentials").is_empty();
    table.check("allowed", right, || format!("{reply:?}"));
    for (name, call) in [
        ("refused", world.gateway.post(initialize())),
        (
            "served",
            world.gateway.post(initialize()).token(&world.reader()),
        ),
    ] {
        let reply = call.with("origin", LISTED).send().await;
        let exposed = reply.header("access-control-expose-headers").to_lowercase();
        let right = exposed.contains("www-authenticate")
            && exposed.contains("mcp-session-id")
            && reply.header("access-control-allow-origin") == LISTED
            && reply.header("access-control-allow-credentials").is_empty();
        table.check(name, right, || format!("{:?}", reply.headers));
    }
}

#[tokio::test]
async fn attack_060_the_upstream_receives_its_own_authority_as_host() {
    // The real task server is rmcp's, which serves only localhost unless configured otherwise.
    let tasks = Tasks::start().await;
    let key = Key::es256("first");
    let config = Config::new(&tasks.url(), &[&key]).set("/hosts", json!(["public.example"]));
    let gateway = Gateway::start(config).await;
    let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
    let call = gateway
        .post(initialize())
        .token(&token)
        .with("host", "public.example");
    assert_eq!(call.send().await.status, 200);
    let sent = tasks.relay.as_ref().unwrap().sent();
    assert!(!sent.contains("public.example"), "{sent}");
}

#[tokio::test]
async fn attack_061_forwarding_headers_of_untrusted_clients_are_ignored() {
    let world = World::start().await;
    let spoofed = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-uri", METADATA),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-original-url", METADATA),
        ("x-rewrite-url", METADATA),
        ("forwarded", "for=203.0.113.9;host=evil.example;proto=https"),
        ("x-real-ip", "203.0.113.9"),
    ];
    let mut table = Table::default();
    for (name, value) in spoofed {
        let bare = world.gateway.post(initialize()).with(name, value);
        table.row(name, world.refusal(bare, 401, "no_credentials").await);
        let good = world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .with(name, value);
        table.row(name, world.acceptance(good).await);
        let headers = format!("{:?}", world.upstream.last().headers);
        table.check(
            name,
            !headers.contains("evil") && !headers.contains("203.0.113"),
            || headers.clone(),
        );
        let document = world.gateway.get(METADATA).with(name, value).send().await;
        let text = document.text();
        table.check(
            name,
            !text.contains("evil") && !text.contains("/admin"),
            || text.clone(),
        );
    }
    let log = world.gateway.log().await;
    assert!(
        !log.contains("203.0.113.9"),
        "an address from an untrusted header was used: {log}"
    );
}

#[tokio::test]
async fn attack_062_spoofed_identity_never_arrives() {
    let world = World::start().await;
    let names = [
        "X-Mcp-Subject",
        "X-Mcp-Issuer",
        "X-Mcp-Client",
        "X-Mcp-Scope",
    ];
    let others = [
        "X-Auth-Subject",
        "X-Forwarded-User",
        "X-Remote-User",
        "X-Mcp-Role",
    ];
    let mut table = Table::default();
    for name in names.into_iter().chain(others) {
        for lines in [
            format!("{name}: root\r\n"),
            format!("{name}: root\r\n{name}: root\r\n"),
        ] {
            if let Some(seen) = table.row(name, forwarded(&world, &lines).await) {
                let headers = format!("{:?}", seen.headers);
                let is_ours = seen.header("x-mcp-subject") == Some("alice")
                    && seen.header("x-mcp-issuer") == Some(ISSUER)
                    && seen.header("x-mcp-client") == Some("inspector")
                    && seen.header("x-mcp-scope") == Some("tasks:read");
                table.check(name, is_ours && !headers.contains("root"), || {
                    headers.clone()
                });
            }
        }
    }
    // A missing claim cannot be replaced by a spoofed header.
    let token = world.token().without("client_id").sign();
    let call = world
        .gateway
        .post(initialize())
        .token(&token)
        .with("x-mcp-client", "root");
    table.row("no client", world.acceptance(call).await);
    let client = world
        .upstream
        .last()
        .header("x-mcp-client")
        .map(str::to_owned);
    table.check("no client", client.is_none(), || format!("{client:?}"));
}

#[tokio::test]
async fn attack_063_other_spellings_of_identity_headers_never_arrive() {
    let world = World::start().await;
    let mut table = Table::default();
    for lines in [
        "X_Mcp_Subject: root\r\n",
        "x-mcp_subject: root\r\n",
        "X.Mcp.Subject: root\r\n",
        "x-mcp-subject: root\r\nX-MCP-SUBJECT: root\r\n",
        "X-Mcp-Subject-: root\r\n",
        "HTTP_X_MCP_SUBJECT: root\r\n",
    ] {
        if let Some(seen) = table.row(lines, forwarded(&world, lines).await) {
            let names: BTreeSet<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
            let expected = BTreeSet::from([
                "accept",
                "accept-encoding",
                "content-length",
                "content-type",
                "host",
                "x-mcp-client",
                "x-mcp-issuer",
                "x-mcp-scope",
                "x-mcp-subject",
            ]);
            table.check(lines, names == expected, || format!("{names:?}"));
            table.check(lines, seen.header("x-mcp-subject") == Some("alice"), || {
                format!("{:?}", seen.headers)
            });
        }
    }
    let space = format!(
        "{}X-Mcp-Subject : root\r\nContent-Length: 0\r\n\r\n",
        world.raw_head()
    );
    table.row(
        "a space",
        world.raw_refusal(space, 400, "bad_framing").await,
    );
    // Any token is legal after Mcp-Param-, and must be forwarded.
    let call = world
        .gateway
        .post(e2e::client::modern(1, "tools/list", json!({})));
    let call = call
        .token(&world.reader())
        .modern("tools/list", None)
        .with("mcp-param-under_score", "1");
    table.row("a parameter", world.acceptance(call).await);
    let seen = world.upstream.last();
    table.check(
        "a parameter",
        seen.header("mcp-param-under_score") == Some("1"),
        || format!("{seen:?}"),
    );
}

#[tokio::test]
async fn attack_064_connection_options_cannot_remove_headers_of_the_gateway() {
    let world = World::start().await;
    let mut table = Table::default();
    for lines in [
        "Connection: x-mcp-subject, x-mcp-issuer\r\n",
        "Connection: close, X-Mcp-Subject, X-Mcp-Scope\r\n",
        "Connection: keep-alive\r\nConnection: x-mcp-subject\r\n",
    ] {
        if let Some(seen) = table.row(lines, forwarded(&world, lines).await) {
            let whole = seen.header("x-mcp-subject") == Some("alice")
                && seen.header("x-mcp-scope") == Some("tasks:read")
                && seen.header("host") == Some(&world.upstream.address().to_string())
                && seen.json()["method"] == "initialize";
            table.check(lines, whole, || format!("{seen:?}"));
        }
    }
}

#[tokio::test]
async fn attack_065_claims_cannot_break_out_of_a_header() {
    let world = World::start().await;
    let mut table = Table::default();
    for (subject, expected) in [
        ("zażółć", "za%C5%BC%C3%B3%C5%82%C4%87"),
        ("a\r\nX-Mcp-Scope: admin", "a%0D%0AX-Mcp-Scope: admin"),
        ("a\0b\u{7f}", "a%00b%7F"),
        (" a", "%20a"),
        ("auth0|5f7c8ec7", "auth0|5f7c8ec7"),
    ] {
        let call = world
            .gateway
            .post(initialize())
            .token(&world.token().subject(subject).sign());
        if table.row(subject, world.acceptance(call).await).is_some() {
            let seen = world.upstream.last();
            let right = seen.header("x-mcp-subject") == Some(expected)
                && seen.header("x-mcp-scope") == Some("tasks:read");
            table.check(subject, right, || format!("{:?}", seen.headers));
        }
    }
    for (name, length) in [("4 KiB", 4200), ("just over 1 KiB", 1025)] {
        let token = world.token().subject(&"s".repeat(length)).sign();
        let call = world.gateway.post(initialize()).token(&token);
        table.row(name, world.refusal(call, 401, "unusable_subject").await);
    }
}

#[tokio::test]
async fn attack_066_health_checks_bypass_nothing() {
    let world = World::start().await;
    let mut table = Table::default();
    for agent in ["GoogleHC/1.0", "ELB-HealthChecker/2.0", "kube-probe/1.33"] {
        let call = world.gateway.post(initialize()).with("user-agent", agent);
        table.row(agent, world.refusal(call, 401, "no_credentials").await);
    }
    for path in [
        "/livez", "/readyz", "/healthz", "/ping", "/ready", "/metrics",
    ] {
        let call = world.gateway.get(path).with("user-agent", "GoogleHC/1.0");
        table.row(path, world.refusal(call, 404, "not_found").await);
    }
}
