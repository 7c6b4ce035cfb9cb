//! Headers with one value that clients and proxies send twice (RFC 9110 §5.3): equal copies are one, different ones are refused
//! with a sentence that says so.

use e2e::client::{Call, LEGACY, MODERN, initialize, modern, notification, request};
use e2e::upstream::sessions;
use e2e::world::secure::Secure;
use e2e::world::{Table, World};
use http::Method;
use serde_json::json;

/// Every header of a modern call twice: on two lines, or joined.
fn call(call: Call) -> [(&'static str, Call); 3] {
    let fields = [
        ("content-type", "application/json"),
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "tools/call"),
        ("mcp-name", "list_tasks"),
        ("mcp-param-region", "eu"),
    ];
    let every = |change: fn(Call, &str, &str) -> Call| {
        let call = call.clone();
        fields
            .iter()
            .fold(call, |call, (name, value)| change(call, name, value))
    };
    [
        (
            "two lines",
            every(|call, name, value| call.with(name, value).also(name, value)),
        ),
        (
            "joined",
            every(|call, name, value| call.with(name, &format!("{value},{value}"))),
        ),
        (
            "joined with white space, and once more",
            every(|call, name, value| {
                let joined = format!("{value}\t , {value}");
                call.with(name, &joined).also(name, value)
            }),
        ),
    ]
}

fn body() -> String {
    let params = json!({ "name": "list_tasks", "arguments": { "region": "eu" } });
    modern(7, "tools/call", params)
}

#[tokio::test]
async fn equal_copies_are_judged_and_forwarded_as_one() {
    let world = World::start().await;
    let mut table = Table::default();
    for (name, twice) in call(world.gateway.post(body()).token(&world.reader())) {
        table.row(name, world.acceptance(twice).await);
        table.check(name, is_once(&world.upstream.last().headers), || {
            format!("{:?}", world.upstream.last().headers)
        });
    }
}

#[tokio::test]
async fn equal_copies_are_one_over_http_2_too() {
    let secure = Secure::start().await;
    let http = secure.http(false);
    for (name, twice) in call(secure.post(&http, body())) {
        let reply = twice.send().await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert!(is_once(&secure.upstream.last().headers), "{name}");
    }
}

fn is_once(headers: &http::HeaderMap) -> bool {
    let names = [
        "content-type",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "mcp-param-region",
    ];
    let values = ["application/json", MODERN, "tools/call", "list_tasks", "eu"];
    names
        .iter()
        .zip(values)
        .all(|(name, value)| headers.get_all(*name).iter().eq([value]))
}

#[tokio::test]
async fn a_session_is_used_whose_headers_come_twice() {
    let world = World::with(|config| config.set("/resources/0/event_ids", "upstream")).await;
    world.upstream.script(sessions());
    let token = world.reader();
    let opened = world.gateway.post(initialize()).token(&token).send().await;
    let id = opened.header("mcp-session-id");
    let listing = || world.gateway.post(request(2, "tools/list", json!({})));
    let notice = || {
        world
            .gateway
            .post(notification("notifications/initialized"))
    };
    let stream = || {
        world
            .gateway
            .get("/mcp")
            .with("accept", "text/event-stream")
    };
    let end = || world.gateway.request(Method::DELETE, "/mcp");
    let joined = |value: &str| format!("{value}, {value}");
    let mut table = Table::default();
    for (name, call, status) in [
        ("a request", listing(), 200),
        ("a notification", notice(), 202),
        ("a stream", stream(), 200),
        ("the end", end(), 202),
    ] {
        let call = call.token(&token);
        for (form, call) in [
            (
                "two lines",
                call.clone()
                    .with("mcp-protocol-version", LEGACY)
                    .also("mcp-protocol-version", LEGACY)
                    .with("mcp-session-id", id)
                    .also("mcp-session-id", id)
                    .with("last-event-id", "3,3")
                    .also("last-event-id", "3,3"),
            ),
            (
                "joined",
                call.clone()
                    .with("mcp-protocol-version", &joined(LEGACY))
                    .with("mcp-session-id", &joined(id))
                    .also("mcp-session-id", id)
                    .with("last-event-id", "3,3"),
            ),
        ] {
            let name = format!("{name}, {form}");
            let reply = call.send().await;
            table.check(&name, reply.status == status, || format!("{reply:?}"));
            table.check(&name, reply.header("mcp-session-id") == id, || {
                format!("{reply:?}")
            });
            let seen = world.upstream.last();
            let is_once = seen.header("mcp-protocol-version") == Some(LEGACY)
                && seen.header("mcp-session-id") == Some("upstream-session-1")
                && seen
                    .header("last-event-id")
                    .is_none_or(|event| event == "3,3");
            table.check(&name, is_once, || format!("{seen:?}"));
        }
    }
}

#[tokio::test]
async fn different_copies_are_refused_with_their_reason() {
    let world = World::with(|config| config.set("/resources/0/event_ids", "upstream")).await;
    let token = world.reader();
    let opened = || world.gateway.post(initialize()).token(&token);
    let modern = || {
        let call = world.gateway.post(body()).token(&token);
        call.modern("tools/call", Some("list_tasks"))
    };
    let mut table = Table::default();
    for (field, call, status, reason) in [
        (
            "mcp-protocol-version",
            opened()
                .with("mcp-protocol-version", LEGACY)
                .also("mcp-protocol-version", MODERN),
            400,
            "header_mismatch",
        ),
        (
            "mcp-protocol-version",
            opened().with("mcp-protocol-version", &format!("{LEGACY}, 2025-06-18")),
            400,
            "header_mismatch",
        ),
        (
            "mcp-protocol-version",
            world
                .gateway
                .get("/mcp")
                .token(&token)
                .with("mcp-protocol-version", &format!("{LEGACY},{MODERN}")),
            400,
            "header_mismatch",
        ),
        (
            "mcp-method",
            modern().also("mcp-method", "tools/list"),
            400,
            "header_mismatch",
        ),
        (
            "mcp-name",
            modern().also("mcp-name", "create_task"),
            400,
            "header_mismatch",
        ),
        (
            "mcp-param-region",
            modern()
                .with("mcp-param-region", "eu")
                .also("mcp-param-region", "us"),
            400,
            "header_mismatch",
        ),
        (
            "content-type",
            opened().also("content-type", "text/plain"),
            415,
            "unsupported_media_type",
        ),
        (
            "content-type",
            opened().with(
                "content-type",
                "application/json, application/json; charset=utf-8",
            ),
            415,
            "unsupported_media_type",
        ),
    ] {
        let Some(reply) = table.row(field, world.refusal(call, status, reason).await) else {
            continue;
        };
        let says = format!("{field} was sent twice with different values");
        let body = reply.json();
        let id = body["request_id"]
            .as_str()
            .or(body["error"]["data"]["request_id"].as_str());
        let line = format!(r#""message":"request","request_id":"{}""#, id.unwrap());
        let line = world.gateway.logged(&line).await;
        table.check(field, line.contains(&says), || line.clone());
        let shows_values = field != "mcp-param-region" || line.contains("values: `eu`, `us`");
        table.check(field, shows_values, || line.clone());
    }
    world.upstream.script(sessions());
    let id = opened().send().await.header("mcp-session-id").to_owned();
    let other = opened().send().await.header("mcp-session-id").to_owned();
    let two = world.gateway.get("/mcp").token(&token);
    let two = two
        .with("mcp-session-id", &id)
        .also("mcp-session-id", &other);
    assert_eq!(two.send().await.status, 404);
    world
        .gateway
        .logged("mcp-session-id was sent twice with different values")
        .await;
    let events = world
        .gateway
        .get("/mcp")
        .token(&token)
        .with("mcp-session-id", &id);
    let events = events.with("last-event-id", "1").also("last-event-id", "2");
    assert_eq!(events.send().await.status, 400);
    world
        .gateway
        .logged("last-event-id was sent twice with different values")
        .await;
}
