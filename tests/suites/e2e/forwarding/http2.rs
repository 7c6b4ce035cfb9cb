//! HTTP/2 towards the upstream: requests share connections, on hyper's server and on Node's (design §6, attacks 54, 114–116).

use std::time::Duration;

use e2e::certificates::Authority;
use e2e::client::sse::Events;
use e2e::client::{Reply, request, tool};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER};
use e2e::process::Process;
use e2e::process::binary::repository;
use e2e::process::tool::tool as program;
use e2e::upstream::{Answer, Upstream, with};
use e2e::world::World;
use http::{Method, Version};
use serde_json::{Value, json};
use test_support::{Key, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(5);

/// The common case, over HTTP/2 without TLS.
async fn world() -> World {
    World::with(|config| {
        let url = config.upstream();
        config.set(
            "/resources/0/upstream",
            json!({ "url": url, "http2": true }),
        )
    })
    .await
}

#[tokio::test]
async fn a_hundred_slow_calls_take_one_connection() {
    let world = world().await;
    let mut feeds = world.upstream.streams("application/json");
    let calls: Vec<_> = (0..100)
        .map(|id| {
            let call = world.gateway.post(tool(id, "slow")).token(&world.reader());
            tokio::spawn(call.send())
        })
        .collect();
    world.upstream.received(100).await;
    assert_eq!(world.upstream.accepted(), 1);
    for _ in 0..100 {
        feeds
            .next()
            .await
            .send("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    }
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    let last = world.upstream.last();
    assert_eq!(last.version, Version::HTTP_2);
    assert!(last.headers.get("host").is_none(), "{:?}", last.headers);
    assert_eq!(
        last.header("content-length"),
        Some(&*last.body.len().to_string())
    );
    world.upstream.deserted(Duration::from_secs(8)).await;
}

#[tokio::test]
async fn events_pass_as_they_come_and_a_client_that_leaves_resets_its_stream_alone() {
    let world = world().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let mut open = Vec::new();
    for id in 0..3 {
        let call = match id {
            0 => world
                .gateway
                .get("/mcp")
                .with("accept", "text/event-stream"),
            _ => world.gateway.post(tool(id, "slow")),
        };
        let answer = tokio::spawn(call.token(&world.reader()).open());
        let feed = feeds.next().await;
        feed.event("first");
        let mut events = Events::new(answer.await.unwrap());
        assert_eq!(events.data().await, "first");
        open.push((feed, events));
    }
    let (feed, events) = open.remove(1);
    drop(events);
    feed.gone(SOON).await;
    for (feed, mut events) in open {
        feed.event("second");
        assert_eq!(events.data().await, "second");
    }
    assert_eq!(world.upstream.accepted(), 1);
}

#[tokio::test]
async fn a_call_that_its_client_leaves_is_cancelled_upstream() {
    let world = world().await;
    world.upstream.script(|_| Answer::Hang);
    let call = world.gateway.post(tool(1, "slow")).token(&world.reader());
    let call = tokio::spawn(call.attempt());
    world.upstream.received(1).await;
    call.abort();
    eventually("the call is cancelled", async || {
        world.upstream.abandoned() == 1
    })
    .await;
    assert_eq!(world.upstream.accepted(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_upstream_breaks_off_for_the_client() {
    // 114
    let world = world().await;
    let mut feeds = world.upstream.streams("application/json");
    let call = world.gateway.post(tool(1, "slow")).token(&world.reader());
    let answer = tokio::spawn(call.open());
    let feed = feeds.next().await;
    feed.send("{");
    let answer = answer.await.unwrap();
    feed.break_off();
    assert!(answer.bytes().await.is_err());
    let metrics = world.gateway.metrics().await;
    let reset = [("kind", "reset")];
    assert_eq!(
        metrics.sum("mcp_gateway_upstream_errors_total", &reset),
        1.0
    );
    world.upstream.script(e2e::upstream::echo);
    let call = world.gateway.post(tool(2, "quick")).token(&world.reader());
    world.acceptance(call).await.unwrap();
}

#[tokio::test]
async fn an_upstream_that_dies_gets_a_new_connection_when_it_is_back() {
    let mut world = world().await;
    world.upstream.script(|_| Answer::Hang);
    let call = world.gateway.post(tool(1, "slow")).token(&world.reader());
    let call = tokio::spawn(call.send());
    world.upstream.received(1).await;
    world.upstream.stop();
    assert_eq!(call.await.unwrap().status, 502);
    let call = world.gateway.post(tool(2, "slow")).token(&world.reader());
    assert_eq!(call.send().await.status, 502);
    world.upstream.resume().await;
    world.upstream.script(e2e::upstream::echo);
    let call = world.gateway.post(tool(3, "quick")).token(&world.reader());
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_late_head_is_504_and_sessions_can_be_deleted() {
    let world = World::with(|config| {
        let url = config.upstream();
        config
            .set(
                "/resources/0/upstream",
                json!({ "url": url, "http2": true }),
            )
            .set("/resources/0/response_head", "300ms")
    })
    .await;
    world.upstream.script(|_| Answer::Hang);
    let call = world.gateway.post(tool(1, "slow")).token(&world.reader());
    assert_eq!(call.send().await.status, 504);
    world.upstream.script(e2e::upstream::sessions());
    let opening = world
        .gateway
        .post(e2e::client::initialize())
        .token(&world.reader());
    let opened = opening.send().await;
    let delete = world.gateway.request(Method::DELETE, "/mcp");
    let delete = delete
        .token(&world.reader())
        .with("mcp-session-id", opened.header("mcp-session-id"));
    delete.send().await;
    assert_eq!(world.upstream.last().method, Method::DELETE);
    assert_eq!(world.upstream.accepted(), 1);
}

#[tokio::test]
async fn bodies_larger_than_every_window_pass_both_ways() {
    let world = world().await;
    let body = "y".repeat(3 << 20);
    let answer = body.clone();
    world
        .upstream
        .script(move |_| Answer::Full(with(200, "application/json", answer.clone())));
    let sent = request(1, "ping", json!({ "x": body }));
    let reply = world
        .gateway
        .post(sent.clone())
        .token(&world.reader())
        .send()
        .await;
    assert!(reply.text() == body, "{} bytes", reply.body.len());
    assert!(world.upstream.last().body == sent.as_bytes());
}

#[tokio::test]
async fn over_tls_the_upstream_chooses_the_version() {
    let authority = Authority::new();
    for (offered, http2, expected) in [
        (&["h2", "http/1.1"][..], None, Version::HTTP_2),
        (&["http/1.1"], None, Version::HTTP_11),
        (&[], None, Version::HTTP_11),
        (&["h2", "http/1.1"], Some(false), Version::HTTP_11),
    ] {
        let mut tls = (*authority.leaf(&["localhost"]).server()).clone();
        tls.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let upstream = Upstream::start_tls(tls.into()).await;
        let mut feeds = upstream.streams("application/json");
        let key = Key::es256("first");
        let url = format!("https://localhost:{}/mcp", upstream.address().port());
        let mut config = Config::new(&url, &[&key]);
        let file = config.write("ca.pem", authority.pem());
        config = config.set(
            "/resources/0/upstream",
            json!({ "url": url, "ca_file": file }),
        );
        if let Some(http2) = http2 {
            config = config.set("/resources/0/upstream/http2", http2);
        }
        let gateway = Gateway::start(config).await;
        let token = Token::new(&key, ISSUER, &gateway.uri("/mcp")).sign();
        let calls: Vec<_> = (0..20)
            .map(|id| tokio::spawn(gateway.post(tool(id, "slow")).token(&token).send()))
            .collect();
        upstream.received(20).await;
        for _ in 0..20 {
            feeds.next().await.send("{}");
        }
        for call in calls {
            assert_eq!(call.await.unwrap().status, 200);
        }
        assert_eq!(upstream.last().version, expected, "{offered:?}");
        let connections = if expected == Version::HTTP_2 { 1 } else { 20 };
        assert!(
            (connections..=connections + 1).contains(&upstream.accepted())
                && (connections > 1 || upstream.accepted() == 1),
            "{offered:?}: {}",
            upstream.accepted()
        );
    }
}

#[tokio::test]
async fn an_upstream_without_http2_is_502_and_the_log_names_the_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = [0; 24];
            let _ = tcp.read_exact(&mut head).await;
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let world = World::with(|config| {
        config.set(
            "/resources/0/upstream",
            json!({ "url": url, "http2": true }),
        )
    })
    .await;
    let call = world.gateway.post(tool(1, "quick")).token(&world.reader());
    let reply = call.send().await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert!(!reply.text().contains("HTTP/2"), "{}", reply.text());
    let line = world.gateway.logged("resources.upstream.http2").await;
    assert!(line.contains("does not speak HTTP/2 without TLS"), "{line}");
}

/// Node's server, and the gateway before it.
struct Node {
    world: World,
    _processes: Vec<Process>,
}

/// Node's server, and its URL.
async fn server() -> (Process, String) {
    let mut command = program("node");
    command.arg(repository("tests/suites/e2e/forwarding/http2_server.mjs"));
    let process = Process::spawn(command);
    let line = process.handle().line("\"port\"").await;
    let ready: Value = serde_json::from_str(&line).unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", ready["port"]);
    (process, url)
}

impl Node {
    async fn start() -> Self {
        let (process, url) = server().await;
        let upstream = json!({ "url": url, "http2": true });
        Self {
            world: World::with(|config| config.set("/resources/0/upstream", upstream)).await,
            _processes: vec![process],
        }
    }

    /// Two instances of it.
    async fn start_two() -> Self {
        let (one, two) = (server().await, server().await);
        let upstream = json!({ "endpoints": [one.1, two.1], "http2": true });
        Self {
            world: World::with(|config| config.set("/resources/0/upstream", upstream)).await,
            _processes: vec![one.0, two.0],
        }
    }

    fn call(&self, name: &str, arguments: Value) -> e2e::client::Call {
        let params = json!({ "name": name, "arguments": arguments });
        let body = request(1, "tools/call", params);
        self.world.gateway.post(body).token(&self.world.reader())
    }

    async fn result(&self, name: &str) -> Value {
        result(&self.call(name, json!({})).send().await)
    }
}

fn result(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["result"].clone()
}

#[tokio::test]
async fn nodes_server_gets_a_hundred_calls_on_one_connection_and_large_bodies() {
    let node = Node::start().await;
    let calls: Vec<_> = (0..100)
        .map(|_| tokio::spawn(node.call("slow", json!({})).send()))
        .collect();
    for call in calls {
        assert_eq!(result(&call.await.unwrap())["sessions"], 1);
    }
    for name in ["plain", "announced", "with trailers"] {
        let arguments = json!({ "padding": 1 << 20, "sent": "y".repeat(1 << 20) });
        let result = result(&node.call(name, arguments).send().await);
        assert_eq!(result["padding"].as_str().unwrap().len(), 1 << 20, "{name}");
        assert!(result["bytes"].as_u64().unwrap() > 1 << 20, "{name}");
        assert_eq!(result["headers"][":scheme"], "http");
        assert_eq!(result["headers"].get("host"), None);
    }
}

#[tokio::test]
async fn nodes_resets_and_goaway_are_understood() {
    let node = Node::start().await;
    assert_eq!(node.result("plain").await["sessions"], 1);
    let cut = node.call("cut short", json!({})).open().await;
    assert!(cut.bytes().await.is_err());
    assert_eq!(node.result("refused once").await["calls"], 4);
    assert_eq!(node.result("goes away").await["sessions"], 1);
    assert_eq!(node.result("plain").await["sessions"], 2);
    assert_eq!(node.call("destroyed", json!({})).send().await.status, 502);
    let last = node.result("plain").await;
    assert_eq!(
        (last["sessions"].clone(), last["calls"].clone()),
        (json!(3), json!(8))
    );
}

#[tokio::test]
async fn goaway_of_two_instances_costs_no_call_and_ejects_nobody() {
    let node = Node::start_two().await;
    let mut connections = 0;
    for _ in 0..20 {
        let sessions = node.result("goes away").await["sessions"].as_u64();
        connections = connections.max(sessions.unwrap());
        node.result("plain").await;
    }
    assert!(
        connections > 3,
        "each went away several times: {connections}"
    );
    let metrics = node.world.gateway.metrics().await;
    let ejections = metrics.sum("mcp_gateway_endpoint_ejections_total", &[]);
    assert!(ejections < 0.5, "{ejections}");
}
