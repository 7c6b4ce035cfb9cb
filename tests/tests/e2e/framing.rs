//! Requests whose framing takes more than bytes to test: time, streams, other limits, and what comes back. The bytes
//! themselves are in `tests/corpus/http1`.

use std::time::Duration;

use e2e::client::initialize;
use e2e::upstream::{Answer, with};
use e2e::world::{Table, World};

/// A raw request with these lines after the head of [`World::raw_head`].
fn with_lines(world: &World, lines: &str, body: &str) -> String {
    format!("{}{lines}\r\n{body}", world.raw_head())
}

#[tokio::test]
async fn other_spellings_of_the_path_are_other_paths() {
    // 81, 82
    let world = World::start().await;
    let token = world.reader();
    let mut table = Table::default();
    for path in ["/MCP", "/mcp/", "/mcp/x", "/Mcp", "/mc", "/%6dcp"] {
        let reply = world
            .gateway
            .post_to(path, initialize())
            .token(&token)
            .send()
            .await;
        let expected: &[u16] = if path.contains('%') {
            &[400, 404]
        } else {
            &[404]
        };
        table.check(path, expected.contains(&reply.status), || {
            format!("{}", reply.status)
        });
    }
    for path in [
        "/mcp?/.well-known/oauth-protected-resource",
        "/mcp?x=/livez",
    ] {
        let reply = world.gateway.post_to(path, initialize()).send().await;
        table.check(path, reply.status == 401, || format!("{}", reply.status));
    }
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn a_byte_behind_a_request_does_not_freeze_its_stream() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let body = initialize();
    let lines = format!("Content-Length: {}\r\n", body.len());
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!("{}\r\n", with_lines(&world, &lines, &body)))
        .await;
    let feed = feeds.next().await;
    feed.event("first");
    assert!(connection.brings(b"first").await);
    drop(connection);
    feed.gone(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_large_body_is_cut_at_its_limit() {
    // 74
    let world = World::with(|config| config.set("/limits/body_bytes", "64KiB")).await;
    let large = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{{\"x\":\"{}\"}}}}",
        "y".repeat(70_000)
    );
    let announced = with_lines(
        &world,
        &format!("Content-Length: {}\r\n", large.len()),
        &large,
    );
    let reply = world
        .raw_refusal(announced, 413, "body_too_large")
        .await
        .unwrap();
    assert_eq!(reply.header("connection"), "close");
    let chunked = with_lines(
        &world,
        "Transfer-Encoding: chunked\r\n",
        &format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()),
    );
    world
        .raw_refusal(chunked, 413, "body_too_large")
        .await
        .unwrap();
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut() {
    // 97, 98
    let world = World::with(|config| {
        config
            .set("/timeouts/header", "1s")
            .set("/timeouts/body_idle", "1s")
            .set("/timeouts/body_total", "2s")
    })
    .await;
    let mut silent = world.gateway.raw().await;
    assert!(
        silent.closes(Duration::from_secs(4)).await,
        "a silent connection stays open"
    );
    let mut half = world.gateway.raw().await;
    half.send("POST /mcp HTTP/1.1\r\nHost: x\r\n").await;
    assert!(
        half.closes(Duration::from_secs(4)).await,
        "half a head stays open"
    );
    let mut body = world.gateway.raw().await;
    body.send(with_lines(&world, "Content-Length: 500\r\n", "{"))
        .await;
    match body.reply_within(Duration::from_secs(5)).await {
        Some(reply) => assert_eq!(reply.status, 408),
        None => assert_eq!(world.upstream.hits(), 0),
    }
}

#[tokio::test]
async fn refusals_wait_for_the_body_so_that_clients_read_them() {
    // 91: several clients lose an answer that comes before they have sent their body.
    let world = World::start().await;
    let body = "x".repeat(30_000);
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        world.gateway.config.public,
        body.len()
    );
    let mut connection = world.gateway.raw().await;
    connection.send(&request).await;
    connection.send(&body).await;
    assert_eq!(connection.reply().await.unwrap().status, 401);
    connection.send(format!("{request}{body}")).await;
    assert_eq!(
        connection.reply().await.map(|reply| reply.status),
        Some(401),
        "the connection did not go on"
    );
}

#[tokio::test]
async fn an_upstream_answer_is_reframed() {
    let world = World::start().await;
    world.upstream.script(|_| {
        let mut answer = with(200, "application/json", "{}");
        for (name, value) in [
            ("connection", "x-hop, keep-alive"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("trailer", "x"),
        ] {
            answer.headers_mut().append(name, value.parse().unwrap());
        }
        Answer::Full(answer)
    });
    let reply = world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    for name in ["x-hop", "keep-alive", "trailer"] {
        assert!(
            !reply.headers.contains_key(name),
            "{name} passed: {:?}",
            reply.headers
        );
    }
}
