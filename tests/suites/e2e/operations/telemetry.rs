//! What an operator sees: one access line per request, metrics with closed labels, and no secret anywhere (attacks 142–147).

use e2e::client::{initialize, modern, request, tool};
use e2e::leaks;
use e2e::world::{Table, World};
use serde_json::{Value, json};

/// The access lines logged so far.
async fn access(world: &World) -> Vec<Value> {
    world
        .gateway
        .log_lines()
        .await
        .into_iter()
        .filter(|line| line["message"] == "request")
        .collect()
}

/// The access lines, once there are `count`.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    e2e::eventually(&format!("{count} access lines"), async || {
        access(world).await.len() >= count
    })
    .await;
    let lines = access(world).await;
    assert_eq!(lines.len(), count, "one line per request: {lines:#?}");
    lines
}

#[tokio::test]
async fn a_forwarded_call_has_one_line_with_every_field() {
    let world = World::start().await;
    world
        .acceptance(
            world
                .gateway
                .post(tool(1, "create_task"))
                .token(&world.writer()),
        )
        .await
        .unwrap();
    let line = &lines(&world, 1).await[0];
    let mut table = Table::default();
    for (name, expected) in [
        ("http_method", json!("POST")),
        ("path", json!("/mcp")),
        ("resource", json!("/mcp")),
        ("mcp_method", json!("tools/call")),
        ("mcp_name", json!("create_task")),
        ("subject", json!("alice")),
        ("client_id", json!("inspector")),
        ("status", json!(200)),
    ] {
        let same = line[name] == expected
            || (name == "resource" && line[name] == json!(world.gateway.uri("/mcp")));
        table.check(name, same, || line.to_string());
    }
    for name in ["duration_ms", "upstream_ms"] {
        table.check(
            name,
            line[name].as_f64().is_some_and(|value| value > 0.0),
            || line.to_string(),
        );
    }
    for name in ["request_id", "timestamp", "level"] {
        table.check(
            name,
            line[name].as_str().is_some_and(|value| !value.is_empty()),
            || line.to_string(),
        );
    }
    table.check("reason", line.get("reason").is_none(), || line.to_string());
}

#[tokio::test]
async fn a_refusal_is_found_by_the_request_id_of_its_answer() {
    let world = World::start().await;
    let call = world
        .gateway
        .post(tool(1, "create_task"))
        .token(&world.reader());
    let reply = world
        .refusal(call, 403, "insufficient_scope")
        .await
        .unwrap();
    let line = &lines(&world, 1).await[0];
    assert_eq!(
        line["request_id"],
        reply.json()["error"]["data"]["request_id"]
    );
    assert_eq!(
        (&line["reason"], &line["status"], &line["subject"]),
        (&json!("insufficient_scope"), &json!(403), &json!("alice"))
    );
    assert!(line.get("upstream_ms").is_none(), "{line}");
}

#[tokio::test]
async fn every_kind_of_request_has_one_line() {
    let world = World::start().await;
    world.gateway.post(initialize()).send().await;
    world
        .gateway
        .get("/.well-known/oauth-protected-resource/mcp")
        .send()
        .await;
    world.gateway.get("/nowhere?query=secret").send().await;
    world
        .gateway
        .post(modern(1, "tools/list", json!({})))
        .token(&world.reader())
        .modern("tools/list", None)
        .send()
        .await;
    let lines = lines(&world, 4).await;
    let statuses: Vec<_> = lines
        .iter()
        .filter_map(|line| line["status"].as_u64())
        .collect();
    assert_eq!(statuses, [401, 200, 404, 200]);
    assert!(
        !format!("{lines:?}").contains("query"),
        "the query is not logged"
    );
}

#[tokio::test]
async fn no_secret_is_in_any_output_at_debug_level() {
    // 144: every log line is checked when the gateway is dropped; this test sends secrets that could be logged.
    let world = World::start().await;
    world.upstream.bodies_may_hold_tokens();
    let canary = leaks::secret("opaque-canary-7f21c9");
    let token = world.reader();
    let host = world.gateway.config.public;
    for lines in [
        format!("Authorization: Bearer {canary}\r\nBad Header: x\r\n"),
        format!("Authorization: Bearer {canary}\r\nX-A: b\0c\r\n"),
        format!("Authorization: Bearer {canary}\r\nno colon at all\r\n"),
        format!("Authorization: Bearer {token}\r\nContent-Length: +1\r\n"),
        format!("Cookie: {canary}\r\nProxy-Authorization: {canary}\r\nX-Api-Key: {canary}\r\n"),
    ] {
        e2e::client::raw::once(
            host,
            format!("POST /mcp?access_token={canary} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"),
        )
        .await;
        e2e::client::raw::once(
            host,
            format!("POST /mcp HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"),
        )
        .await;
    }
    for bad in [
        format!("{canary}.{canary}.{canary}"),
        token[..token.len() - 10].to_owned(),
        canary.clone(),
    ] {
        world.gateway.post(initialize()).token(&bad).send().await;
    }
    let carried = request(
        1,
        "tools/call",
        json!({ "name": "list_tasks", "arguments": { "key": token } }),
    );
    world.gateway.post(carried).token(&token).send().await;
    let text = world.gateway.admin("/metrics").await.text();
    assert_eq!(leaks::find(&text), None);
    e2e::eventually("lines are logged", async || access(&world).await.len() >= 6).await;
}

#[tokio::test]
async fn a_head_that_cannot_be_read_has_a_line_too() {
    let world = World::start().await;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nno colon\r\n\r\n",
        world.gateway.config.public
    );
    let reply = world.raw_refusal(head, 400, "bad_framing").await.unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let line = &lines(&world, 1).await[0];
    assert_eq!(
        (&line["reason"], &line["status"]),
        (&json!("bad_framing"), &json!(400))
    );
    assert!(
        body["request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty() && id == line["request_id"]),
        "{body} {line}"
    );
}

#[tokio::test]
async fn text_lines_cannot_be_forged() {
    // 143
    let world = World::with(|config| config.set("/log/format", "text")).await;
    let token = world.token().subject("a\nFORGED level=ERROR").sign();
    world
        .gateway
        .post(request(1, "tools/call", json!({ "name": "x FORGED=1" })))
        .token(&token)
        .send()
        .await;
    world
        .gateway
        .post(request(1, "FORGED\r\nFORGED", json!({})))
        .token(&world.reader())
        .send()
        .await;
    let line = world
        .gateway
        .logged("path=/mcp mcp_method=tools/call")
        .await;
    assert!(line.contains("POST") && line.contains("/mcp"), "{line}");
    let log = world.gateway.log().await;
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "{log}");
}

#[tokio::test]
async fn access_lines_can_be_switched_off() {
    let world = World::with(|config| config.set("/log/access", false)).await;
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    assert_eq!(world.gateway.counted("no_credentials", 0.0).await, 0.0);
    assert!(access(&world).await.is_empty());
}

#[tokio::test]
async fn every_metric_exists_and_counts() {
    let world = World::start().await;
    let mut feeds = None;
    world
        .acceptance(
            world
                .gateway
                .post(tool(1, "create_task"))
                .token(&world.writer()),
        )
        .await
        .unwrap();
    world
        .acceptance(
            world
                .gateway
                .post(tool(1, "list_tasks"))
                .token(&world.reader()),
        )
        .await
        .unwrap();
    world
        .refusal(world.gateway.post(initialize()), 401, "no_credentials")
        .await
        .unwrap();
    let mut stream = world
        .gateway
        .get("/mcp")
        .token(&world.reader())
        .with("accept", "text/event-stream");
    stream = stream.with("mcp-protocol-version", "2025-11-25");
    let answer = {
        let feeds = feeds.insert(world.upstream.streams("text/event-stream"));
        let answer = tokio::spawn(stream.open());
        let feed = feeds.next().await;
        feed.event("x");
        (answer.await.unwrap(), feed)
    };
    let metrics = world.gateway.metrics().await;
    let mut table = Table::default();
    for (name, labels, at_least) in [
        (
            "mcp_gateway_requests_total",
            [("mcp_method", "tools/call"), ("status", "200")].as_slice(),
            2.0,
        ),
        ("mcp_gateway_requests_total", &[("status", "401")], 1.0),
        (
            "mcp_gateway_request_duration_seconds_count",
            &[("mcp_method", "tools/call")],
            2.0,
        ),
        (
            "mcp_gateway_authentication_duration_seconds_count",
            &[],
            3.0,
        ),
        (
            "mcp_gateway_refusals_total",
            &[("reason", "no_credentials")],
            1.0,
        ),
        (
            "mcp_gateway_tool_calls_total",
            &[("tool", "create_task"), ("status", "200")],
            1.0,
        ),
        (
            "mcp_gateway_tool_calls_total",
            &[("tool", "other"), ("status", "200")],
            1.0,
        ),
        ("mcp_gateway_streams_active", &[], 1.0),
        ("mcp_gateway_connections_active", &[], 1.0),
        ("mcp_gateway_token_cache_total", &[("result", "miss")], 1.0),
        ("mcp_gateway_config_reloads_total", &[], 0.0),
        ("mcp_gateway_config_last_reload_timestamp_seconds", &[], 1.0),
        ("mcp_gateway_build_info", &[], 1.0),
    ] {
        let value = metrics.sum(name, labels);
        table.check(name, value >= at_least, || format!("{labels:?} {value}"));
    }
    drop(answer);
    e2e::eventually("the stream is counted down", async || {
        world
            .gateway
            .metrics()
            .await
            .sum("mcp_gateway_streams_active", &[])
            == 0.0
    })
    .await;
}
