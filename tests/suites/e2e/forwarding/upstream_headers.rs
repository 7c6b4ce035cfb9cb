//! Headers that a resource adds for its upstream: those of the client that are passed on, those with a value of the operator's,
//! and the host.

use std::collections::BTreeSet;

use e2e::certificates::{Authority, write_secret};
use e2e::client::{Call, initialize, request};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::upstream::{Recorded, Upstream, sessions};
use e2e::world::{Table, World};
use http::{Method, Version};
use serde_json::{Value, json};
use test_support::{Key, Token};

const CREDENTIAL: &str = "Basic b3duOmtleQ==";

/// A world whose upstream has these keys in addition to its URL.
async fn world(keys: Value) -> World {
    World::with(|config| {
        let mut upstream = json!({ "url": config.upstream() });
        upstream
            .as_object_mut()
            .unwrap()
            .extend(keys.as_object().unwrap().clone());
        config
            .set("/resources/0/upstream", upstream)
            .set("/origins", json!(["https://page.example"]))
    })
    .await
}

fn call(world: &World) -> Call {
    let message = request(1, "tools/list", json!({}));
    world.gateway.post(message).token(&world.reader())
}

#[tokio::test]
async fn a_header_is_passed_on_by_its_exact_name_only() {
    let world = world(json!({ "pass_headers": ["X-Tenant-Id"] })).await;
    let call = call(&world)
        .with("x-tenant-id", "blue")
        .with("x-tenant", "red")
        .with("x_tenant_id", "red")
        .with("x-tenant-id-2", "red");
    world.acceptance(call).await.unwrap();
    let last = world.upstream.last();
    assert_eq!(last.header("x-tenant-id"), Some("blue"));
    let names: BTreeSet<_> = last.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(
        names.iter().filter(|name| name.contains("tenant")).count(),
        1,
        "{names:?}"
    );
    world.acceptance(self::call(&world)).await.unwrap();
    assert_eq!(world.upstream.last().header("x-tenant-id"), None);
}

#[tokio::test]
async fn get_and_delete_have_the_headers_too() {
    let world = world(json!({ "pass_headers": "x-tenant-id", "headers": { "X-Own": "1" } })).await;
    world.upstream.script(sessions());
    let opened = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    let session = opened.header("mcp-session-id").to_owned();
    for method in [Method::GET, Method::DELETE] {
        let call = world
            .gateway
            .request(method.clone(), "/mcp")
            .token(&world.reader());
        let call = call
            .with("mcp-session-id", &session)
            .with("mcp-protocol-version", "2025-11-25")
            .with("accept", "text/event-stream")
            .with("x-tenant-id", "blue");
        call.send().await;
        let last = world.upstream.last();
        assert_eq!(last.method, method);
        assert_eq!(
            (last.header("x-tenant-id"), last.header("x-own")),
            (Some("blue"), Some("1"))
        );
    }
}

#[tokio::test]
async fn a_passed_header_has_one_value() {
    let world = world(json!({ "pass_headers": ["X-Tenant-Id"] })).await;
    let mut table = Table::default();
    let twice = call(&world)
        .with("x-tenant-id", "a")
        .also("x-tenant-id", "a");
    table.row("equal copies", world.acceptance(twice).await);
    assert_eq!(world.upstream.last().header("x-tenant-id"), Some("a"));
    let other = call(&world)
        .with("x-tenant-id", "a")
        .also("x-tenant-id", "b");
    table.row(
        "two values",
        world.refusal(other, 400, "header_repeated").await,
    );
    let body = request(1, "tools/list", json!({}));
    for option in ["x-tenant-id", "close, X-Tenant-ID"] {
        let text = format!(
            "{}X-Tenant-Id: a\r\nConnection: {option}\r\nContent-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        );
        let outcome = world.raw_refusal(text, 400, "connection_option").await;
        table.row(option, outcome);
    }
}

#[tokio::test]
async fn a_header_of_another_resource_is_not_passed_on() {
    let world = World::start().await;
    let call = call(&world)
        .with("x-tenant-id", "a")
        .also("x-tenant-id", "b");
    world.acceptance(call).await.unwrap();
    assert_eq!(world.upstream.last().header("x-tenant-id"), None);
}

#[tokio::test]
async fn a_page_may_send_what_is_passed_on() {
    let world = world(json!({ "pass_headers": ["X-Tenant-Id"] })).await;
    let call = world.gateway.request(Method::OPTIONS, "/mcp");
    let call = call
        .with("origin", "https://page.example")
        .with("access-control-request-method", "POST")
        .with(
            "access-control-request-headers",
            "authorization,x-tenant-id,x-other",
        );
    let reply = call.send().await;
    assert_eq!(reply.status, 204);
    let allowed = reply.header("access-control-allow-headers");
    assert_eq!(allowed, "authorization, x-tenant-id");
}

#[tokio::test]
async fn a_fixed_header_replaces_the_clients() {
    let world = world(json!({
        "pass_headers": ["X-Tenant-Id"],
        "headers": { "X-Tenant-Id": "blue", "User-Agent": "gateway", "Authorization": CREDENTIAL },
    }))
    .await;
    world.upstream.has_credential(CREDENTIAL);
    let call = call(&world)
        .with("x-tenant-id", "red")
        .with("user-agent", "client")
        .also("x-tenant-id", "green");
    // Which value the client sends does not matter.
    let reply = call.send().await;
    assert_eq!(reply.status, 400, "two values are refused all the same");
    let call = self::call(&world)
        .with("x-tenant-id", "red")
        .with("user-agent", "client");
    world.acceptance(call).await.unwrap();
    let last = world.upstream.last();
    assert_eq!(last.header("x-tenant-id"), Some("blue"));
    assert_eq!(last.header("user-agent"), Some("gateway"));
    assert_eq!(last.header("authorization"), Some(CREDENTIAL));
}

#[tokio::test]
async fn a_secret_is_read_from_a_file_again_when_it_changes() {
    let world = World::with(|config| {
        write_secret(&config.folder().join("key"), "hunter1\n");
        let upstream =
            json!({ "url": config.upstream(), "headers": { "X-Api-Key": { "file": "key" } } });
        config.set("/resources/0/upstream", upstream)
    })
    .await;
    world.acceptance(call(&world)).await.unwrap();
    assert_eq!(world.upstream.last().header("x-api-key"), Some("hunter1"));
    let connections = world.upstream.accepted();
    write_secret(&world.gateway.config.folder().join("key"), "hunter2");
    eventually("the new value is sent", async || {
        call(&world).send().await;
        world.upstream.last().header("x-api-key") == Some("hunter2")
    })
    .await;
    // An empty file is refused, and the last value stays in use.
    write_secret(&world.gateway.config.folder().join("key"), "");
    world.gateway.logged("configuration reload rejected").await;
    world.acceptance(call(&world)).await.unwrap();
    assert_eq!(world.upstream.last().header("x-api-key"), Some("hunter2"));
    assert!(
        world.upstream.accepted() <= connections + 1,
        "connections were kept"
    );
    let log = world.gateway.log().await;
    assert!(!log.contains("hunter"), "{log}");
}

#[tokio::test]
async fn a_host_is_sent_over_http_1_and_2_and_tls_names_the_url() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.leaf(&["localhost"]).server()).await;
    let plain = Upstream::start().await;
    let port = upstream.address().port();
    let key = Key::es256("first");
    for (url, http2, ca, host) in [
        (
            format!("https://localhost:{port}/mcp"),
            true,
            true,
            "tasks.example.com",
        ),
        (
            format!("https://localhost:{port}/mcp"),
            false,
            true,
            "tasks.example.com:8443",
        ),
        (plain.url(), true, false, "tasks.example.com"),
        (plain.url(), false, false, "tasks.example.com:8080"),
    ] {
        let mut config = Config::new("http://127.0.0.1:1/mcp", &[&key]);
        let mut keys = json!({ "url": url, "http2": http2, "host": host });
        if ca {
            keys["ca_file"] = json!(config.write("ca.pem", authority.pem()));
        }
        config = config.set("/resources/0/upstream", keys);
        let gateway = Gateway::start(config).await;
        let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
        let reply = gateway.post(initialize()).token(&token).send().await;
        assert_eq!(reply.status, 200, "{url} {http2}");
        let last: Recorded = if ca { upstream.last() } else { plain.last() };
        match last.version {
            Version::HTTP_2 => {
                let origin = last.target.split("://").nth(1).unwrap_or_default();
                assert!(http2 && origin.starts_with(&format!("{host}/")), "{last:?}");
                assert_eq!(last.header("host"), None);
            }
            _ => assert_eq!(last.header("host"), Some(host)),
        }
    }
}

#[tokio::test]
async fn the_queries_of_both_sides_and_the_headers_are_combined() {
    let world = World::with(|config| {
        let url = format!("{}?tenant=blue", config.upstream());
        config
            .set(
                "/resources/0/upstream",
                json!({ "url": url, "headers": { "X-Own": "1" } }),
            )
            .set("/resources/0/query", "pass")
    })
    .await;
    let message = request(1, "tools/list", json!({}));
    let call = world
        .gateway
        .post_to("/mcp?page=2", message.clone())
        .token(&world.reader());
    world.acceptance(call).await.unwrap();
    let last = world.upstream.last();
    assert_eq!(
        (last.target.as_str(), last.header("x-own")),
        ("/mcp?tenant=blue&page=2", Some("1"))
    );
    let call = world
        .gateway
        .post_to("/mcp?tenant=red", message)
        .token(&world.reader());
    world.refusal(call, 400, "ambiguous_query").await.unwrap();
}
