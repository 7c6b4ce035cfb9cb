//! Numbers 98, 102, 110, 114–116 and 343: limits of bodies and heads, long streams, and answers that name a stream and have none.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::client::sse::{Events, Item};
use e2e::client::{initialize, request, tool};
use e2e::upstream::{Answer, Chunk, Feed, Feeds, head, steps};
use e2e::world::{Table, World};
use e2e::{SOON, eventually};
use serde_json::json;
use tokio::time::timeout;

/// Opens a stream that only listens, with its first event read.
async fn listen(world: &World, feeds: &mut Feeds, token: &str) -> (Events, Feed) {
    let call = world.gateway.get("/mcp").token(token);
    let answer = tokio::spawn(call.with("accept", "text/event-stream").open());
    let feed = feeds.next().await;
    feed.event("first");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "first");
    (events, feed)
}

#[tokio::test]
async fn attack_098_slow_bodies_are_answered_408() {
    let world = World::with(|config| {
        config
            .set("/timeouts/body_idle", "500ms")
            .set("/timeouts/body_total", "1500ms")
    })
    .await;
    let silent = format!("{}Content-Length: 500\r\n\r\n{{", world.raw_head());
    world
        .raw_refusal(silent, 408, "body_timeout")
        .await
        .unwrap();
    // Each byte comes in time, the whole body does not.
    let before = world.gateway.refusals("body_timeout").await;
    let mut drip = world.gateway.raw().await;
    drip.send(format!("{}Content-Length: 500\r\n\r\n", world.raw_head()))
        .await;
    let began = Instant::now();
    while world.gateway.refusals("body_timeout").await == before {
        drip.send(b" ").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < SOON, "no total deadline");
    }
    assert_eq!(drip.reply().await.map(|reply| reply.status), Some(408));
    assert_eq!(world.upstream.hits(), 0);
}

#[tokio::test]
async fn attack_102_header_blocks_have_limits() {
    let world = World::start().await;
    let many: String = (0..120).map(|index| format!("X-{index}: y\r\n")).collect();
    let blocks: String = (0..40)
        .map(|index| format!("X-{index}: {}\r\n", "y".repeat(1000)))
        .collect();
    let mut table = Table::default();
    for (name, lines) in [
        ("one long line", format!("X-A: {}\r\n", "y".repeat(40_000))),
        ("one long name", format!("{}: y\r\n", "x".repeat(40_000))),
        ("many fields", many),
        ("many bytes", blocks),
    ] {
        let bytes = format!("{}{lines}Content-Length: 0\r\n\r\n", world.raw_head());
        table.row(
            name,
            world.raw_refusal(bytes, 431, "headers_too_large").await,
        );
    }
    // An endless one is refused too.
    let endless = format!("POST /mcp HTTP/1.1\r\nX-Long: {}", "x".repeat(100_000));
    table.row(
        "endless",
        world.raw_refusal(endless, 431, "headers_too_large").await,
    );
    let target = format!(
        "POST /mcp?{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "x".repeat(100_000)
    );
    table.row(
        "a long target",
        world.raw_refusal(target, 431, "headers_too_large").await,
    );
}

#[tokio::test]
async fn attack_110_a_listening_stream_is_closed_when_its_token_expires() {
    let world = World::with(|config| {
        config
            .set("/issuers/corporate/clock_skew", "0s")
            .set("/timeouts/max_after_expiry", "2s")
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.token().claim("exp", test_support::now() + 3).sign();
    let call = world
        .gateway
        .post(request(1, "tools/call", json!({ "name": "slow" })));
    let call = tokio::spawn(call.token(&token).open());
    let running = feeds.next().await;
    running.event("half");
    let mut answer = Events::new(call.await.unwrap());
    assert_eq!(answer.data().await, "half");
    let (mut events, feed) = listen(&world, &mut feeds, &token).await;
    // Only a clean end: no event, no message.
    assert_eq!(events.next().await, Item::End);
    feed.gone(SOON).await;
    let next = world.gateway.post(initialize()).token(&token);
    world.refusal(next, 401, "expired").await.unwrap();
    running.event("the rest");
    assert_eq!(answer.data().await, "the rest", "a running call can finish");
    // But not for ever, whether it is idle, never pauses, or has not answered yet.
    assert_eq!(answer.next().await, Item::End);
    running.gone(SOON).await;
    for why in [
        "the stream was ended: the caller's token expired",
        "the answer was ended 2s after the caller's token expired (timeouts.max_after_expiry)",
    ] {
        world.gateway.logged(why).await;
    }
    let token = world.token().claim("exp", test_support::now() + 1).sign();
    world.upstream.script(|_| Answer::Hang);
    let silent = world.gateway.post(tool(1, "slow")).token(&token);
    let reply = silent.send().await;
    assert_eq!(reply.status, 401, "{}", reply.text());
}

#[tokio::test]
async fn a_stream_that_never_pauses_is_closed_when_its_token_expires_too() {
    let world = World::with(|config| config.set("/issuers/corporate/clock_skew", "0s")).await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.token().claim("exp", test_support::now() + 2).sign();
    let (mut events, feed) = listen(&world, &mut feeds, &token).await;
    let flood = tokio::spawn(async move {
        while !feed.is_gone() {
            for _ in 0..64 {
                feed.event("more");
            }
            tokio::task::yield_now().await;
        }
    });
    while matches!(events.next().await, Item::Event(_)) {}
    timeout(SOON, flood)
        .await
        .expect("the upstream request is dropped")
        .unwrap();
}

#[tokio::test]
async fn attack_114_a_client_sees_that_the_response_of_a_dead_upstream_is_truncated() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.reader();
    let (mut one, first) = listen(&world, &mut feeds, &token).await;
    let (mut two, second) = listen(&world, &mut feeds, &token).await;
    first.break_off();
    assert_eq!(one.next().await, Item::Broken);
    second.event("still here");
    assert_eq!(two.data().await, "still here");
    let metrics = world.gateway.metrics().await;
    assert_eq!(
        metrics.sum("mcp_gateway_upstream_errors_total", &[("kind", "reset")]),
        1.0
    );
    // To the byte: no terminating chunk.
    world.upstream.script(|_| {
        let head = head(200, &[("content-type", "text/event-stream")]);
        Answer::Stream(
            head,
            steps([Chunk::Data("data: x\n\n".into()), Chunk::Break]),
        )
    });
    let body = initialize();
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!(
            "{}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        ))
        .await;
    let reply = connection.reply().await.unwrap();
    assert_eq!(
        (reply.text().as_str(), reply.complete),
        ("data: x\n\n", false)
    );
}

#[tokio::test]
async fn attack_115_events_are_not_buffered_and_idle_streams_stay_open() {
    let world = World::with(|config| {
        config
            .set("/timeouts/response_head", "500ms")
            .set("/timeouts/write_idle", "500ms")
            .set("/timeouts/body_idle", "500ms")
            .set("/timeouts/keep_alive", "500ms")
            .set("/timeouts/header", "500ms")
            .set("/timeouts/sse_comment", "0s")
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let (mut events, feed) = listen(&world, &mut feeds, &world.reader()).await;
    // Each is read before the next is written: a buffered one would never arrive.
    for index in 0..20 {
        feed.event(&index.to_string());
        assert_eq!(events.data().await, index.to_string());
    }
    // Silence longer than every deadline of the gateway, and without a comment.
    tokio::time::sleep(Duration::from_secs(2)).await;
    feed.event("after the silence");
    assert_eq!(
        events.next().await,
        Item::Event("event: message\ndata: after the silence".into())
    );
    world.upstream.script(|_| {
        let head = head(
            200,
            &[
                ("content-type", "text/event-stream"),
                ("x-accel-buffering", "no"),
            ],
        );
        Answer::Stream(head, steps([Chunk::Data("data: x\n\n".into())]))
    });
    let reply = world
        .gateway
        .post(initialize())
        .token(&world.reader())
        .send()
        .await;
    assert_eq!(reply.header("x-accel-buffering"), "no");
}

#[tokio::test]
async fn attack_116_everything_is_freed_when_a_client_disconnects() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.reader();
    for _ in 0..50 {
        let (events, feed) = listen(&world, &mut feeds, &token).await;
        drop(events);
        feed.gone(SOON).await;
    }
    // Before the head of the answer too.
    world.upstream.script(|_| Answer::Hang);
    let body = initialize();
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!(
            "{}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        ))
        .await;
    world.upstream.received(51).await;
    drop(connection);
    world.upstream.deserted(SOON).await;
    assert_eq!(world.upstream.abandoned(), 1);
    eventually("nothing is left", async || {
        let metrics = world.gateway.metrics().await;
        metrics.sum("mcp_gateway_streams_active", &[]) == 0.0
            && metrics.sum("mcp_gateway_connections_active", &[]) <= 1.0
    })
    .await;
}

#[tokio::test]
async fn attack_343_an_answer_without_a_body_leaves_nothing_before_the_next_one() {
    let world = World::start().await;
    let body = request(1, "tools/list", json!({}));
    let message = format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    );
    for status in [204, 304] {
        world.upstream.script(move |_| {
            let head = head(status, &[("content-type", "text/event-stream")]);
            Answer::Full(head.map(|()| Bytes::new()))
        });
        let mut connection = world.gateway.raw().await;
        for _ in 0..3 {
            connection.send(&message).await;
            let head = connection.head().await.unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        }
    }
}
