//! How a client without a token finds one: challenges (RFC 6750 §3, RFC 9728 §5.1) and metadata (RFC 9728 §3).

use e2e::client::{initialize, request, tool};
use e2e::gateway::config::{ISSUER, resource};
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;
use test_support::now;

const METADATA: &str = "/.well-known/oauth-protected-resource";

fn challenge(world: &World, scope: &str) -> String {
    let base = world.gateway.config.public_url();
    format!("Bearer resource_metadata=\"{base}{METADATA}/mcp\", scope=\"{scope}\"")
}

#[tokio::test]
async fn every_method_without_a_token_is_challenged_without_an_error() {
    let world = World::start().await;
    let mut table = Table::default();
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let call = world.gateway.request(method.clone(), "/mcp");
        if let Some(reply) = table.row(
            method.as_str(),
            world.refusal(call, 401, "no_credentials").await,
        ) {
            assert_eq!(
                reply.challenge(),
                challenge(&world, "tasks:read"),
                "{method}"
            );
            assert_eq!(reply.header("cache-control"), "no-store", "{method}");
        }
    }
}

#[tokio::test]
async fn the_first_call_of_a_client_is_challenged_with_a_short_body() {
    let world = World::start().await;
    let reply = world
        .refusal(world.gateway.post(initialize()), 401, "no_credentials")
        .await
        .unwrap();
    assert_eq!(reply.header("content-type"), "application/json");
    let body = reply.json();
    assert_eq!(body["error"], "unauthorized");
    assert!(
        body["error_description"].is_string() && body["request_id"].is_string(),
        "{body}"
    );
}

#[tokio::test]
async fn an_expired_token_is_challenged_with_an_error_and_the_same_parameters() {
    let world = World::start().await;
    let token = world
        .token()
        .claim("iat", now() - 7200)
        .claim("exp", now() - 3600)
        .sign();
    let reply = world
        .refusal(
            world.gateway.post(initialize()).token(&token),
            401,
            "expired",
        )
        .await
        .unwrap();
    let challenge = reply.challenge();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    for part in [
        "error=\"invalid_token\"",
        "error_description=\"",
        "scope=\"tasks:read\"",
        "resource_metadata=\"",
    ] {
        assert!(challenge.contains(part), "{part} in {challenge}");
    }
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_missing_scope_is_answered_with_every_required_scope() {
    let world = World::start().await;
    let call = world
        .gateway
        .post(tool(7, "create_task"))
        .token(&world.reader());
    let reply = world
        .refusal(call, 403, "insufficient_scope")
        .await
        .unwrap();
    let challenge = reply.challenge();
    for part in [
        "error=\"insufficient_scope\"",
        "scope=\"tasks:read tasks:write\"",
        "resource_metadata=\"",
    ] {
        assert!(challenge.contains(part), "{part} in {challenge}");
    }
    // 78: the client steps up once, and the same call passes.
    world
        .acceptance(
            world
                .gateway
                .post(tool(7, "create_task"))
                .token(&world.writer()),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_without_the_required_scope_is_answered_with_every_scope_of_the_call() {
    let world = World::start().await;
    let token = world.token().scope("other").sign();
    let call = world
        .gateway
        .post(request(1, "tools/list", json!({})))
        .token(&token);
    let reply = world
        .refusal(call, 403, "insufficient_scope")
        .await
        .unwrap();
    assert!(
        reply.challenge().contains("scope=\"tasks:read\""),
        "{}",
        reply.challenge()
    );
    let call = world.gateway.post(tool(1, "create_task")).token(&token);
    let reply = world
        .refusal(call, 403, "insufficient_scope")
        .await
        .unwrap();
    assert!(
        reply
            .challenge()
            .contains("scope=\"tasks:read tasks:write\""),
        "{}",
        reply.challenge()
    );
}

#[tokio::test]
async fn without_required_scopes_the_challenge_names_the_supported_ones_except_offline_access() {
    let world = World::with(|config| {
        config
            .set(
                "/resources/0/scopes",
                json!({ "required": [], "supported": ["tasks:read", "offline_access"] }),
            )
            .set("/resources/0/policy/rules", json!([]))
    })
    .await;
    let reply = world.gateway.post(initialize()).send().await;
    assert_eq!(reply.challenge(), challenge(&world, "tasks:read"));
    let document = world
        .gateway
        .get(&format!("{METADATA}/mcp"))
        .send()
        .await
        .json();
    assert_eq!(document["scopes_supported"], json!(["tasks:read"]));
}

#[tokio::test]
async fn without_any_scope_the_challenge_has_no_scope_parameter() {
    let world = World::with(|config| {
        config
            .set(
                "/resources/0/scopes",
                json!({ "required": [], "supported": [] }),
            )
            .set("/resources/0/policy/rules", json!([]))
    })
    .await;
    let reply = world.gateway.post(initialize()).send().await;
    let url = world.gateway.uri(&format!("{METADATA}/mcp"));
    assert_eq!(
        reply.challenge(),
        format!("Bearer resource_metadata=\"{url}\"")
    );
}

#[tokio::test]
async fn the_metadata_document_names_the_resource_as_configured() {
    let world = World::with(|config| {
        config
            .set("/resources/0/audience", json!(["https://mcp-tasks-api"]))
            .set("/resources/0/name", json!("Tasks"))
            .set(
                "/resources/0/documentation",
                json!("https://docs.example/tasks"),
            )
    })
    .await;
    let reply = world.gateway.get(&format!("{METADATA}/mcp")).send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(
        reply.header("cache-control").contains("max-age"),
        "{:?}",
        reply.headers
    );
    let expected = json!({
        "resource": world.gateway.uri("/mcp"),
        "authorization_servers": [ISSUER],
        "scopes_supported": ["tasks:read", "tasks:write"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": [
            "ES256", "ES384", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
        ],
        "resource_name": "Tasks",
        "resource_documentation": "https://docs.example/tasks",
    });
    assert_eq!(reply.json(), expected);
}

#[tokio::test]
async fn the_root_document_exists_for_a_single_resource() {
    let world = World::start().await;
    let inserted = world.gateway.get(&format!("{METADATA}/mcp")).send().await;
    let root = world.gateway.get(METADATA).send().await;
    assert_eq!((root.status, root.json()), (200, inserted.json()));
}

#[tokio::test]
async fn two_resources_have_a_document_each_and_no_root_document() {
    let world = two_resources().await;
    for path in ["/mcp", "/other/mcp"] {
        let document = world
            .gateway
            .get(&format!("{METADATA}{path}"))
            .send()
            .await
            .json();
        assert_eq!(document["resource"], json!(world.gateway.uri(path)));
    }
    assert_eq!(world.gateway.get(METADATA).send().await.status, 404);
}

#[tokio::test]
async fn a_document_allows_only_get() {
    let world = World::start().await;
    let mut table = Table::default();
    let path = format!("{METADATA}/mcp");
    for method in [Method::POST, Method::DELETE] {
        let reply = world.gateway.request(method.clone(), &path).send().await;
        table.check(method.as_str(), reply.status == 405, || {
            format!("{}", reply.status)
        });
        // RFC 9110 §10.2.1: the methods of this resource.
        let allow = reply.header("allow");
        let right = allow.contains("GET") && !allow.contains("POST") && !allow.contains("DELETE");
        table.check(method.as_str(), right, || format!("Allow: {allow}"));
    }
    let head = world.gateway.request(Method::HEAD, &path).send().await;
    table.check("HEAD", head.status == 200 && head.body.is_empty(), || {
        format!("{head:?}")
    });
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn head_tells_the_length_that_get_gives_on_every_answer_of_the_gateway() {
    let world = World::start().await;
    let own = world.gateway.config.public;
    let mut table = Table::default();
    for path in [
        METADATA,
        &format!("{METADATA}/mcp"),
        &format!("{METADATA}/mcp/"),
        &format!("{METADATA}/nowhere"),
        "/nowhere",
        "/mcp",
    ] {
        let got = world.gateway.get(path).send().await;
        let length = got.body.len().to_string();
        let mut connection = world.gateway.raw().await;
        // The second answer comes right after the first head: there is no body between them.
        for _ in 0..2 {
            let request = format!("HEAD {path} HTTP/1.1\r\nHost: {own}\r\n\r\n");
            connection.send(request).await;
            let head = connection.head().await.unwrap_or_default();
            let status = format!("HTTP/1.1 {} ", got.status);
            let told = format!("content-length: {length}\r\n");
            let is_right = head.starts_with(&status) && head.to_lowercase().contains(&told);
            table.check(path, is_right, || format!("{head:?}, GET: {got:?}"));
        }
    }
    let admin = world.gateway.config.admin;
    for path in ["/livez", "/readyz", "/nowhere"] {
        let url = format!("http://{admin}{path}");
        let got = world.gateway.admin(path).await;
        let head = e2e::client::Call::new(&e2e::client::http(), Method::HEAD, url);
        let head = head.send().await;
        let is_right = head.status == got.status && head.body.is_empty();
        table.check(path, is_right, || format!("{head:?}"));
        let told = head.header("content-length");
        let is_right = [got.header("content-length"), ""].contains(&told);
        table.check(path, is_right, || told.to_owned());
    }
}

#[tokio::test]
async fn head_tells_the_length_over_http_2_too() {
    let secure = Secure::start().await;
    let http = secure.http(false);
    for path in [&format!("{METADATA}/mcp"), "/nowhere", "/mcp"] {
        let call = |method| e2e::client::Call::new(&http, method, secure.gateway.uri(path));
        let got = call(Method::GET).send().await;
        let head = call(Method::HEAD).send().await;
        assert_eq!((head.status, head.body.len()), (got.status, 0), "{path}");
        assert_eq!(
            head.header("content-length"),
            got.body.len().to_string(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn discovery_ignores_version_origin_and_credentials() {
    let world = World::start().await;
    let path = format!("{METADATA}/mcp");
    for (name, value) in [
        ("mcp-protocol-version", "2024-11-05"),
        ("mcp-protocol-version", "2026-07-28"),
        ("origin", "https://anywhere.example"),
        ("authorization", "Basic bm90OmhlcmU="),
    ] {
        let reply = world.gateway.get(&path).with(name, value).send().await;
        assert_eq!(reply.status, 200, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_resource_with_its_own_host_is_named_by_that_host() {
    let world = World::with(|config| {
        let mut other = resource("/mcp", "http://127.0.0.1:1/mcp", &["corporate"]);
        other["host"] = json!("tasks.example");
        config.set("/resources/1", other)
    })
    .await;
    let reply = world
        .gateway
        .post(initialize())
        .with("host", "tasks.example")
        .send()
        .await;
    assert_eq!(reply.status, 401, "{}", reply.text());
    assert!(
        reply
            .challenge()
            .contains(&format!("\"http://tasks.example{METADATA}/mcp\"")),
        "{}",
        reply.challenge()
    );
    let document = world
        .gateway
        .get(&format!("{METADATA}/mcp"))
        .with("host", "tasks.example")
        .send()
        .await;
    assert_eq!(document.json()["resource"], "http://tasks.example/mcp");
    let own = world.gateway.get(&format!("{METADATA}/mcp")).send().await;
    assert_eq!(own.json()["resource"], json!(world.gateway.uri("/mcp")));
}

async fn two_resources() -> World {
    World::with(|config| {
        let upstream = config.upstream();
        config.set(
            "/resources/1",
            resource("/other/mcp", &upstream, &["corporate"]),
        )
    })
    .await
}
