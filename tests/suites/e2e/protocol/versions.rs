//! A resource that lists its protocol versions: what is refused, with which error, and what is forwarded.

use e2e::client::{Call, LEGACY, MODERN, Reply, initialize, modern, notification, request};
use e2e::upstream::sessions;
use e2e::world::{Table, World};
use http::Method;
use serde_json::{Value, json};

const VERSION: &str = "mcp-protocol-version";

async fn listing(versions: Value) -> World {
    World::with(|config| config.set("/resources/0/protocol_versions", versions)).await
}

/// A modern `tools/list` that asks for this version.
fn asking(world: &World, version: &str) -> Call {
    let body = modern(7, "tools/list", json!({})).replace(MODERN, version);
    let call = world.gateway.post(body).token(&world.reader());
    call.modern("tools/list", None).with(VERSION, version)
}

/// A legacy `tools/list` with this version in its header, or with none.
fn legacy(world: &World, version: Option<&str>) -> Call {
    let body = request(7, "tools/list", json!({}));
    let call = world.gateway.post(body).token(&world.reader());
    match version {
        Some(version) => call.with(VERSION, version),
        None => call,
    }
}

/// The error has this code, the supported and the requested versions, and the request's id.
fn names_versions(reply: &Reply, code: i64, supported: &Value, requested: &str) -> bool {
    let (body, data) = (reply.json(), &reply.json()["error"]["data"]);
    let has_versions = (&data["supported"], &data["requested"]) == (supported, &json!(requested));
    let has_id = data["request_id"].is_string() && body["id"] == json!(7);
    reply.rpc_code() == Some(code) && has_versions && has_id
}

#[tokio::test]
async fn without_a_version_list_the_upstream_decides() {
    let world = World::start().await;
    world
        .acceptance(asking(&world, "2031-01-01"))
        .await
        .unwrap();
    world
        .acceptance(legacy(&world, Some("2024-11-05")))
        .await
        .unwrap();
    world.acceptance(legacy(&world, None)).await.unwrap();
}

#[tokio::test]
async fn an_unlisted_version_is_refused_with_the_listed_versions() {
    let listed = json!([LEGACY, MODERN]);
    let world = listing(listed.clone()).await;
    let mut table = Table::default();
    for (name, call, requested) in [
        ("a later one", asking(&world, "2027-01-01"), "2027-01-01"),
        ("no date", asking(&world, "1.0"), "1.0"),
        ("legacy", legacy(&world, Some("2025-06-18")), "2025-06-18"),
        ("none", legacy(&world, None), "2025-03-26"),
    ] {
        if let Some(reply) = table.row(name, world.refusal(call, 400, "unsupported_version").await)
        {
            table.check(
                name,
                names_versions(&reply, -32022, &listed, requested),
                || reply.text(),
            );
            let logged = format!(" `{requested}`; listed: ");
            world.gateway.logged(&logged).await;
        }
    }
    for (name, call) in [
        ("modern", asking(&world, MODERN)),
        ("legacy", legacy(&world, Some(LEGACY))),
        (
            "initialize",
            world.gateway.post(initialize()).token(&world.reader()),
        ),
    ] {
        table.row(name, world.acceptance(call).await);
    }
}

#[tokio::test]
async fn a_missing_or_different_version_is_reported_before_an_unlisted_one() {
    let world = listing(json!([MODERN])).await;
    let bare = legacy(&world, Some("2027-01-01"));
    let bare = bare.with("mcp-method", "tools/list");
    world.refusal(bare, 400, "version_missing").await.unwrap();
    for differing in [
        asking(&world, "2027-01-01").with(VERSION, MODERN),
        asking(&world, "2027-01-01").with("mcp-method", "tools/call"),
    ] {
        world
            .refusal(differing, 400, "header_mismatch")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_legacy_resource_returns_no_modern_error_code() {
    // A client that supports both eras falls back on any error but those.
    let listed = json!(["2025-06-18", LEGACY]);
    let world = listing(listed.clone()).await;
    let mut table = Table::default();
    for (name, call, requested) in [
        ("modern", asking(&world, MODERN), MODERN),
        ("older", legacy(&world, Some("2024-11-05")), "2024-11-05"),
        ("none", legacy(&world, None), "2025-03-26"),
    ] {
        if let Some(reply) = table.row(name, world.refusal(call, 400, "legacy_only").await) {
            table.check(
                name,
                names_versions(&reply, -32600, &listed, requested),
                || reply.text(),
            );
        }
    }
    table.row(
        "listed",
        world.acceptance(legacy(&world, Some(LEGACY))).await,
    );
}

#[tokio::test]
async fn a_resource_without_legacy_versions_opens_no_session() {
    // Attack 70: an old version is chosen because it checks less.
    let listed = json!([MODERN]);
    let world = listing(listed.clone()).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let mut table = Table::default();
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {} });
    let opening = request(7, "initialize", params.clone());
    let modern_opening = modern(7, "initialize", params);
    for (name, call) in [
        ("initialize", world.gateway.post(opening.clone())),
        (
            "in the modern form",
            world
                .gateway
                .post(modern_opening)
                .modern("initialize", None),
        ),
        (
            "with a header",
            world.gateway.post(opening).with(VERSION, LEGACY),
        ),
    ] {
        let outcome = world
            .refusal(call.token(&token), 400, "unsupported_version")
            .await;
        if let Some(reply) = table.row(name, outcome) {
            table.check(
                name,
                names_versions(&reply, -32022, &listed, "2025-06-18"),
                || reply.text(),
            );
        }
    }
    for (name, message) in [
        ("a notification", notification("notifications/initialized")),
        (
            "an answer",
            json!({ "jsonrpc": "2.0", "id": 7, "result": {} }).to_string(),
        ),
    ] {
        let call = world
            .gateway
            .post(message)
            .token(&token)
            .with(VERSION, LEGACY);
        table.row(name, world.refusal(call, 400, "unsupported_version").await);
    }
    for method in [Method::GET, Method::DELETE] {
        for version in [LEGACY, MODERN] {
            let call = world.gateway.request(method.clone(), "/mcp").token(&token);
            let outcome = world
                .refusal(call.with(VERSION, version), 405, "method_not_allowed")
                .await;
            if let Some(reply) = table.row(method.as_str(), outcome) {
                table.check(method.as_str(), reply.header("allow") == "POST", || {
                    format!("{reply:?}")
                });
            }
        }
    }
}

#[tokio::test]
async fn the_version_list_applies_to_get_and_delete() {
    let world = listing(json!([LEGACY, MODERN])).await;
    let token = world.reader();
    let mut table = Table::default();
    for method in [Method::GET, Method::DELETE] {
        let name = method.as_str();
        let call = || world.gateway.request(method.clone(), "/mcp").token(&token);
        for version in ["2025-06-18", "2027-01-01"] {
            let call = call().with(VERSION, version);
            table.row(name, world.refusal(call, 400, "unsupported_version").await);
        }
        table.row(
            name,
            world.refusal(call(), 400, "unsupported_version").await,
        );
        let hits = world.upstream.hits();
        let reply = call().with(VERSION, LEGACY).send().await;
        table.check(
            name,
            reply.status < 300 && world.upstream.hits() == hits + 1,
            || format!("{reply:?}"),
        );
    }
    // Clients of a revision that has no such header send none.
    let world = listing(json!(["2025-03-26"])).await;
    let call = world.gateway.get("/mcp").token(&world.reader());
    world
        .acceptance(call.with("accept", "text/event-stream"))
        .await
        .unwrap();
    world.acceptance(legacy(&world, None)).await.unwrap();
}
