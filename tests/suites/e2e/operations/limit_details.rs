//! A refusal that comes from a limit says which: the access line has what was found, the limit's value and its key.

use e2e::client::{initialize, request};
use e2e::upstream::Answer;
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// The detail of the access line with this reason.
async fn detail(world: &World, reason: &str) -> String {
    let lines = world.gateway.log_lines().await;
    let line = lines
        .iter()
        .rfind(|line| line["message"] == "request" && line["reason"] == reason);
    let detail = line.map_or(&Value::Null, |line| &line["detail"]);
    detail.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_message_beyond_a_limit_names_the_limit_and_keeps_its_id() {
    let world = World::with(|config| {
        config
            .set("/limits/json_depth", 10)
            .set("/limits/json_members", 100)
            .set("/limits/body_bytes", "64KiB")
    })
    .await;
    let token = world.reader();
    let mut table = Table::default();
    let levels = format!("{}{}", "[".repeat(20), "]".repeat(20));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"ping","params":{{"x":{levels}}}}}"#);
    let many = request("a", "ping", json!({ "x": vec![1; 200] }));
    let named = request("a", "tools/call", json!({ "name": "n".repeat(8193) }));
    let watched = json!({ "notifications": { "resourceSubscriptions": vec!["a:b"; 90] } });
    let large = request("a", "ping", json!({ "x": "y".repeat(70 << 10) }));
    for (body, reason, id, expected) in [
        (
            deep,
            (400, "json_limit"),
            "a",
            "more than 10 objects and arrays in one another (limits.json_depth)",
        ),
        (
            many,
            (400, "json_limit"),
            "a",
            "more than 100 members and elements (limits.json_members)",
        ),
        (
            named,
            (400, "invalid_request"),
            "a",
            "name has 8193 bytes, more than 8192 (a fixed limit)",
        ),
        (
            large,
            (413, "body_too_large"),
            "",
            "bytes, more than 65536 bytes (limits.body_bytes)",
        ),
    ] {
        let call = world.gateway.post(body).token(&token);
        let Some(reply) = table.row(expected, world.refusal(call, reason.0, reason.1).await) else {
            continue;
        };
        let answered = reply.json()["id"].as_str().unwrap_or_default().to_owned();
        table.check(expected, answered == id, || reply.text());
        let found = detail(&world, reason.1).await;
        table.check(expected, found.ends_with(expected), || found.clone());
        // The client learns neither the value nor the key.
        table.check(expected, !reply.text().contains("limits."), || reply.text());
    }
    let listening = request("a", "subscriptions/listen", watched);
    world
        .acceptance(world.gateway.post(listening).token(&token))
        .await
        .unwrap();
}

#[tokio::test]
async fn heads_and_tokens_that_are_too_large_name_their_limits() {
    let world = World::with(|config| {
        config
            .set("/limits/header_bytes", "4KiB")
            .set("/limits/header_fields", 20)
            .set("/limits/token_bytes", "512B")
    })
    .await;
    let post = || world.gateway.post(initialize());
    let fields = (0..30).fold(post(), |call, field| call.with(&format!("x-{field}"), "1"));
    let bytes = post().with("x-long", &"x".repeat(5000));
    let token = post().token(&"x".repeat(600));
    for (call, status, reason, expected) in [
        (
            fields,
            431,
            "headers_too_large",
            "in 20 fields (limits.header_fields)",
        ),
        (
            bytes,
            431,
            "headers_too_large",
            "at most 4096 bytes (limits.header_bytes)",
        ),
        (
            token,
            401,
            "token_too_large",
            "an Authorization header of 607 bytes, more than 512 for the token (limits.token_bytes)",
        ),
    ] {
        world.refusal(call, status, reason).await.unwrap();
        let found = detail(&world, reason).await;
        assert!(found.contains(expected), "{found}");
    }
    let mut unread = world.gateway.raw().await;
    let long = "x".repeat(64 << 10);
    unread
        .send(format!("POST /mcp HTTP/1.1\r\nx-long: {long}"))
        .await;
    assert_eq!(unread.reply().await.unwrap().status, 431);
    world
        .gateway
        .logged("more than twice 4096 bytes (limits.header_bytes)")
        .await;
}

#[tokio::test]
async fn what_comes_too_late_names_its_deadline() {
    let world = World::with(|config| {
        config
            .set("/timeouts/header", "1s")
            .set("/timeouts/body_idle", "1s")
            .set("/timeouts/response_head", "1s")
    })
    .await;
    world.upstream.script(|_| Answer::Hang);
    let mut head = world.gateway.raw().await;
    head.send("POST /mcp HTTP/1.1\r\nHost: ").await;
    let mut body = world.gateway.raw().await;
    body.send(format!("{}Content-Length: 9\r\n\r\n{{", world.raw_head()))
        .await;
    world
        .gateway
        .post(request(1, "ping", json!({})))
        .token(&world.reader())
        .send()
        .await;
    for expected in [
        "no complete head within 1s (timeouts.header)",
        "no part of the body within 1s (timeouts.body_idle)",
        "within 1s (timeouts.response_head)",
    ] {
        world.gateway.logged(expected).await;
    }
}
