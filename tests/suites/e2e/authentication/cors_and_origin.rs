//! Browsers: which origins can call (MCP transports), and the CORS headers of the answers (Fetch).

use e2e::client::{initialize, tool};
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;

const LISTED: &str = "https://inspector.example";

async fn world() -> World {
    World::with(|config| config.set("/origins", json!([LISTED]))).await
}

#[tokio::test]
async fn every_answer_to_an_allowed_origin_has_cors_headers() {
    let world = world().await;
    let own = world.gateway.config.public_url();
    let mut table = Table::default();
    for origin in [LISTED, own.as_str()] {
        for (name, call, status) in [
            ("no token", world.gateway.post(initialize()), 401),
            (
                "a bad token",
                world.gateway.post(initialize()).token("x"),
                401,
            ),
            (
                "a missing scope",
                world
                    .gateway
                    .post(tool(1, "create_task"))
                    .token(&world.reader()),
                403,
            ),
            (
                "no JSON",
                world.gateway.post("{").token(&world.reader()),
                400,
            ),
            (
                "success",
                world.gateway.post(initialize()).token(&world.reader()),
                200,
            ),
        ] {
            let reply = call.with("origin", origin).send().await;
            let name = format!("{name} from {origin}");
            table.check(&name, reply.status == status, || {
                format!("{}", reply.status)
            });
            let headers = format!("{:?}", reply.headers);
            table.check(
                &name,
                reply.header("access-control-allow-origin") == origin,
                || headers.clone(),
            );
            table.check(
                &name,
                reply.header("vary").to_lowercase().contains("origin"),
                || headers.clone(),
            );
            let exposed = reply.header("access-control-expose-headers").to_lowercase();
            for header in ["www-authenticate", "mcp-session-id", "mcp-protocol-version"] {
                table.check(&name, exposed.contains(header), || headers.clone());
            }
            table.check(
                &name,
                reply.header("access-control-allow-credentials").is_empty(),
                || headers.clone(),
            );
        }
    }
}

#[tokio::test]
async fn the_origin_never_reaches_the_upstream() {
    let world = world().await;
    world
        .acceptance(
            world
                .gateway
                .post(initialize())
                .token(&world.reader())
                .with("origin", LISTED),
        )
        .await
        .unwrap();
    assert_eq!(world.upstream.last().header("origin"), None);
}

#[tokio::test]
async fn a_preflight_needs_no_token_and_echoes_what_mcp_needs() {
    // 59
    let world = world().await;
    let reply = preflight(&world, "/mcp", LISTED)
        .with(
            "access-control-request-headers",
            "authorization,content-type,mcp-param-region,last-event-id,traceparent,Tracestate,baggage,x-evil",
        )
        .send()
        .await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), LISTED);
    let headers: Vec<_> = reply
        .header("access-control-allow-headers")
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .collect();
    assert_eq!(
        headers,
        [
            "authorization",
            "content-type",
            "mcp-param-region",
            "last-event-id",
            "traceparent",
            "tracestate",
            "baggage"
        ]
    );
    let methods = reply.header("access-control-allow-methods");
    for method in ["GET", "POST", "DELETE"] {
        assert!(methods.contains(method), "{methods}");
    }
    assert!(reply.header("vary").to_lowercase().contains("origin"));
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn a_page_may_send_whatever_is_forwarded() {
    let world = world().await;
    let fields = [
        ("accept", "application/json"),
        ("accept-language", "de"),
        ("user-agent", "page"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("tracestate", "a=b"),
        ("baggage", "c=d"),
    ];
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let call = world.gateway.post(initialize()).token(&world.reader());
    let call = call.with("origin", LISTED);
    let call = fields
        .iter()
        .fold(call, |call, (name, value)| call.with(name, value));
    world.acceptance(call).await.unwrap();
    let seen = world.upstream.last();
    let reply = preflight(&world, "/mcp", LISTED)
        .with("access-control-request-headers", &names.join(","))
        .send()
        .await;
    assert_eq!(
        reply.header("access-control-allow-headers"),
        names.join(", ")
    );
    for (name, value) in fields {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn extensions_and_applications_can_be_allowed() {
    let listed = json!([
        "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
        "moz-extension://*",
        "vscode-webview://*",
        "tauri://localhost",
        "app://.",
        "capacitor://localhost"
    ]);
    let world = World::with(|config| config.set("/origins", listed)).await;
    let mut table = Table::default();
    for origin in [
        "chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        "vscode-webview://1ai8cmvsjfg2olqp0vqkbs3a8mgoo4tv0dd4v1e4hpgkfjtbqpv1",
        "tauri://localhost",
        "app://.",
        "capacitor://localhost",
    ] {
        let call = world.gateway.post(initialize()).token(&world.reader());
        let call = call.with("origin", origin);
        if let Some(reply) = table.row(origin, world.acceptance(call).await) {
            let allowed = reply.header("access-control-allow-origin");
            table.check(origin, allowed == origin, || allowed.to_owned());
        }
        let reply = preflight(&world, "/mcp", origin).send().await;
        let allowed = reply.header("access-control-allow-origin");
        table.check(origin, reply.status == 204 && allowed == origin, || {
            format!("{reply:?}")
        });
    }
    for origin in [
        "null",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://",
        "moz-extension://*",
        "moz-extension://a,moz-extension://b",
        "http://moz-extension",
        "https://evil.example",
        "tauri://localhost.evil.example",
        "http://tauri.localhost",
        "app://..",
        "file://",
    ] {
        let call = world.gateway.post(initialize()).token(&world.reader());
        let call = call.with("origin", origin);
        table.row(origin, world.refusal(call, 403, "origin").await);
    }
}

#[tokio::test]
async fn documents_are_readable_from_every_origin() {
    let world = world().await;
    let path = "/.well-known/oauth-protected-resource/mcp";
    let reply = world
        .gateway
        .get(path)
        .with("origin", "https://anywhere.example")
        .send()
        .await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, "*")
    );
    let reply = preflight(&world, path, "https://anywhere.example")
        .with("access-control-request-headers", "mcp-protocol-version")
        .send()
        .await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (204, "*")
    );
    assert!(
        reply
            .header("access-control-allow-headers")
            .to_lowercase()
            .contains("mcp-protocol-version"),
        "{:?}",
        reply.headers
    );
}

fn preflight(world: &World, path: &str, origin: &str) -> e2e::client::Call {
    world
        .gateway
        .request(Method::OPTIONS, path)
        .with("origin", origin)
        .with("access-control-request-method", "POST")
}
