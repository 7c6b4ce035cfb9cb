//! Limits of what one client can use (attacks 97, 99, 101, 116): connections, time, memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::client::initialize;
use e2e::client::raw::Raw;
use e2e::eventually;
use e2e::upstream::{Answer, Chunk, head, steps};
use e2e::world::World;

#[tokio::test]
async fn silent_connections_do_not_slow_a_normal_request() {
    // 97
    let world = World::start().await;
    let mut silent = Vec::new();
    for index in 0..300 {
        let mut connection = world.gateway.raw().await;
        if index % 2 == 0 {
            connection.send("POST /mcp HTTP/1.1\r\nHost: ").await;
        }
        silent.push(connection);
    }
    for _ in 0..5 {
        let began = Instant::now();
        world
            .acceptance(world.gateway.post(initialize()).token(&world.reader()))
            .await
            .unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
    assert!(
        world
            .gateway
            .metrics()
            .await
            .sum("mcp_gateway_connections_active", &[])
            >= 300.0
    );
    drop(silent);
    eventually("they are counted down", async || {
        world
            .gateway
            .metrics()
            .await
            .sum("mcp_gateway_connections_active", &[])
            < 10.0
    })
    .await;
}

#[tokio::test]
async fn a_slow_head_is_closed_at_its_total_deadline() {
    // 97: a byte does not restart the deadline.
    let world = World::with(|config| config.set("/timeouts/header", "1s")).await;
    let mut connection = world.gateway.raw().await;
    let began = Instant::now();
    for byte in "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n".bytes().cycle() {
        connection.send([byte]).await;
        if connection.closes(Duration::from_millis(100)).await {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "still open after {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_kept_connection_can_pause_longer_than_the_header_deadline() {
    let world = World::with(|config| config.set("/timeouts/header", "1s")).await;
    let body = initialize();
    let call = format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    );
    let mut connection = world.gateway.raw().await;
    connection.send(&call).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_millis(1600)).await;
    connection.send(&call).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_keep_alive() {
    let world = World::with(|config| config.set("/timeouts/keep_alive", "1s")).await;
    let body = initialize();
    let mut connection = world.gateway.raw().await;
    connection
        .send(format!(
            "{}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        ))
        .await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    assert!(connection.closes(Duration::from_secs(4)).await);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_not_served_until_one_closes() {
    // 101
    let world = World::with(|config| config.set("/limits/connections", 3)).await;
    let body = initialize();
    let call = format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    );
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut connection = world.gateway.raw().await;
        connection.send(&call).await;
        assert_eq!(connection.reply().await.unwrap().status, 200);
        held.push(connection);
    }
    let hits = world.upstream.hits();
    let mut excess = world.gateway.raw().await;
    excess.send(&call).await;
    let served = tokio::time::timeout(Duration::from_millis(500), excess.reply()).await;
    assert!(matches!(served, Err(_) | Ok(None)), "{served:?}");
    assert_eq!(world.upstream.hits(), hits);
    held.pop();
    eventually("there is room again", async || {
        let mut connection = Raw::connect(world.gateway.config.public).await;
        connection.send(&call).await;
        let reply = tokio::time::timeout(Duration::from_millis(500), connection.reply()).await;
        reply
            .ok()
            .flatten()
            .is_some_and(|reply| reply.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_disconnected() {
    // 99
    let world = World::with(|config| config.set("/timeouts/write_idle", "1s")).await;
    world.upstream.script(|_| {
        let block = Bytes::from(vec![b'y'; 1 << 20]);
        let body = steps((0..200).map(|_| Chunk::Data(block.clone())));
        Answer::Stream(head(200, &[("content-type", "text/event-stream")]), body)
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
    world.upstream.received(1).await;
    world.upstream.deserted(Duration::from_secs(6)).await;
    drop(connection);
}

#[tokio::test]
async fn a_resource_can_have_its_own_deadline() {
    let world = World::with(|config| config.set("/resources/0/response_head", "1s")).await;
    world.upstream.script(|_| Answer::Hang);
    let began = Instant::now();
    assert_eq!(
        world
            .gateway
            .post(initialize())
            .token(&world.reader())
            .send()
            .await
            .status,
        504
    );
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn bodies_beyond_the_total_memory_limit_get_503() {
    let world = World::with(|config| {
        config
            .set("/limits/body_bytes", "1MiB")
            .set("/limits/bodies_bytes", "1MiB")
            .set("/limits/bodies_bytes_per_principal", "2MiB")
            .set("/limits/bodies_bytes_per_address", "2MiB")
    })
    .await;
    let part =
        format!("{}Content-Length: 1000000\r\n\r\n", world.raw_head()) + &" ".repeat(900_000);
    let (mut one, mut other) = (world.gateway.raw().await, world.gateway.raw().await);
    one.send(&part).await;
    eventually("the first body is in memory", async || {
        let metrics = world.gateway.metrics().await;
        metrics.sum("mcp_gateway_body_bytes", &[]) >= 900_000.0
    })
    .await;
    other.send(&part).await;
    let reply = other.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"));
    assert_eq!(world.gateway.counted("bodies_too_large", 1.0).await, 1.0);
    drop((one, other));
    eventually("there is room again", async || {
        let body = initialize() + &" ".repeat(300_000);
        let reply = world.gateway.post(body).token(&world.reader()).send().await;
        reply.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_body_counts_until_it_is_sent_to_the_upstream() {
    // More than the socket buffers of both sides of a connection that is not read.
    const LARGE: usize = 24 << 20;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let world = World::with(|config| {
        config
            .set("/limits/body_bytes", "25MiB")
            .set("/limits/bodies_bytes", "25MiB")
            .set("/limits/bodies_bytes_per_principal", "50MiB")
            .set("/limits/bodies_bytes_per_address", "50MiB")
            .set("/resources/0/upstream", format!("http://{address}/mcp"))
    })
    .await;
    let body = |padding: usize| initialize() + &" ".repeat(padding);
    let large = world.gateway.post(body(LARGE)).token(&world.reader());
    let large = tokio::spawn(large.send());
    let (upstream, _) = silent.accept().await.unwrap();
    let other = world.gateway.post(body(2 << 20)).token(&world.reader());
    let other = tokio::time::timeout(Duration::from_secs(20), other.send()).await;
    assert_eq!(other.expect("an answer").status, 503);
    // After it there is room again.
    drop(upstream);
    large.abort();
    drop(silent);
    eventually("there is room again", async || {
        let call = world.gateway.post(body(2 << 20)).token(&world.reader());
        call.send().await.status == 502
    })
    .await;
}
