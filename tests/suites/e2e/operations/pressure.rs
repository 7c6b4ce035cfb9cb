//! Shortage of descriptors and memory (attacks 106, 107), and the admin listener meanwhile.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::client::initialize;
use e2e::client::raw::{Raw, RawReply};
use e2e::client::sse::Events;
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::upstream::Upstream;
use e2e::world::World;
use test_support::Key;

/// Timeout until freed memory is returned to the system and measured, on a busy machine.
const A_WHILE: Duration = Duration::from_secs(90);

const CLOSED_TOTAL: &str = "mcp_gateway_connections_closed_total";

const MIB: usize = 1 << 20;

fn call(world: &World) -> String {
    let body = initialize();
    format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    )
}

async fn tried(connection: &mut Raw) -> Option<RawReply> {
    let reply = tokio::time::timeout(Duration::from_secs(5), connection.reply()).await;
    reply.ok().flatten()
}

async fn closed(gateway: &Gateway, cause: &str) -> f64 {
    gateway
        .metrics()
        .await
        .sum(CLOSED_TOTAL, &[("cause", cause)])
}

/// Sets the limit of open files of a running process.
fn limit_files(gateway: &Gateway, count: usize) {
    let id = gateway.process.id().to_string();
    let status = Command::new("prlimit")
        .args(["--pid", &id, &format!("--nofile={count}:")])
        .status();
    assert!(status.unwrap().success());
}

fn open_files(gateway: &Gateway) -> usize {
    let folder = format!("/proc/{}/fd", gateway.process.id());
    fs::read_dir(folder).unwrap().count()
}

fn resident(gateway: &Gateway) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

#[tokio::test]
async fn a_low_descriptor_limit_lowers_the_connection_limit() {
    // 106
    let key = Key::es256("first");
    let upstream = Upstream::start().await;
    let config = Config::new(&upstream.url(), &[&key]);
    let gateway = Gateway::start_with_files(config, 256).await;
    let world = World {
        gateway,
        upstream,
        key,
    };
    world
        .gateway
        .logged("limits.connections from 10000 to 68")
        .await;
    // No call: fewer calls than connections are possible.
    let request = format!(
        "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nHost: {}\r\n\r\n",
        world.gateway.config.public
    );
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut connection = world.gateway.raw().await;
        connection.send(&request).await;
        held.push(connection);
    }
    let mut served = 0;
    for connection in &mut held {
        served += usize::from(
            tried(connection)
                .await
                .is_some_and(|reply| reply.status == 200),
        );
    }
    assert_eq!(served, 68);
    assert_eq!(world.gateway.admin("/readyz").await.status, 200);
    assert_eq!(closed(&world.gateway, "limit").await, 232.0);
    drop(held);
    eventually("there is room again", async || {
        let mut connection = world.gateway.raw().await;
        connection.send(&request).await;
        tried(&mut connection)
            .await
            .is_some_and(|reply| reply.status == 200)
    })
    .await;
}

#[tokio::test]
async fn without_descriptors_streams_continue_and_accepting_resumes() {
    // 106
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let stream = world
        .gateway
        .get("/mcp")
        .token(&world.reader())
        .with("accept", "text/event-stream");
    let answer = tokio::spawn(stream.open());
    let feed = feeds.next().await;
    feed.event("before");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "before");

    // The page can be requested only when there are descriptors again; it reports the shortage for a short time after it.
    eventually("it reports that it is not ready", async || {
        limit_files(&world.gateway, open_files(&world.gateway));
        let before = world
            .gateway
            .log()
            .await
            .matches("cannot accept connections")
            .count();
        let waiting = world.gateway.raw().await;
        if before == 0 {
            world.gateway.logged("cannot accept connections").await;
            feed.event("meanwhile");
            assert_eq!(events.data().await, "meanwhile");
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        limit_files(&world.gateway, 4096);
        let page = world.gateway.admin("/readyz").await;
        drop(waiting);
        page.status == 503 && page.text().contains("\"shortage\":\"descriptors\"")
    })
    .await;
    world.upstream.script(e2e::upstream::echo);
    let resumed = Instant::now();
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
    assert!(
        resumed.elapsed() < Duration::from_secs(5),
        "{:?}",
        resumed.elapsed()
    );
    world.gateway.readiness(200).await;
    feed.event("after");
    assert_eq!(events.data().await, "after");
}

#[tokio::test]
async fn under_memory_pressure_connections_are_rejected_and_streams_continue() {
    // 107
    let at_rest = resident(&World::start().await.gateway);
    let limit = at_rest + 64 * MIB;
    let world = World::with(|config| {
        config
            .set("/limits/memory", format!("{limit}B"))
            .set("/limits/bodies_bytes", "1GiB")
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let stream = world
        .gateway
        .get("/mcp")
        .token(&world.reader())
        .with("accept", "text/event-stream");
    let answer = tokio::spawn(stream.open());
    let feed = feeds.next().await;
    feed.event("before");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "before");

    // Bodies that never end are held until their deadline.
    let part = vec![b' '; 4 * MIB - 1024];
    let mut held = Vec::new();
    let filling = Instant::now();
    while world.gateway.admin("/readyz").await.status == 200 {
        assert!(filling.elapsed() < A_WHILE && resident(&world.gateway) < limit);
        let mut connection = world.gateway.raw().await;
        let head = format!("{}Content-Length: {}\r\n\r\n", world.raw_head(), 4 * MIB);
        connection.send(head).await;
        connection.send(&part).await;
        held.push(connection);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let page = world.gateway.admin("/readyz").await;
    assert!(
        page.text().contains("\"shortage\":\"memory\""),
        "{}",
        page.text()
    );
    let mut refused = world.gateway.raw().await;
    refused.send(call(&world)).await;
    assert!(tried(&mut refused).await.is_none());
    assert!(closed(&world.gateway, "memory").await >= 1.0);
    feed.event("meanwhile");
    assert_eq!(events.data().await, "meanwhile");

    drop(held);
    let resuming = Instant::now();
    while world.gateway.admin("/readyz").await.status != 200 {
        assert!(
            resuming.elapsed() < A_WHILE,
            "still short after {A_WHILE:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.upstream.script(e2e::upstream::echo);
    world
        .acceptance(world.gateway.post(initialize()).token(&world.reader()))
        .await
        .unwrap();
}

#[tokio::test]
async fn silent_admin_connections_do_not_block_others() {
    let world = World::start().await;
    let admin = world.gateway.config.admin;
    let mut silent = Vec::new();
    for _ in 0..40 {
        let mut connection = Raw::connect(admin).await;
        connection.send("GET /livez HTTP/1.1\r\nHost: ").await;
        silent.push(connection);
    }
    let asked = async {
        let mut connection = Raw::connect(admin).await;
        connection
            .send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await;
        connection.reply_within(A_WHILE).await.unwrap().status
    };
    assert_eq!(asked.await, 200);
    for connection in &mut silent {
        assert!(connection.closes(A_WHILE).await);
    }
}
