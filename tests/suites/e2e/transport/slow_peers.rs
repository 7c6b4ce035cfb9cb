//! Clients that are slow to send a head, or to read (attacks 97, 99, 100, 102, 157): the outcome of each is logged and
//! counted.

use std::time::Duration;

use bytes::Bytes;
use e2e::certificates::client;
use e2e::client::initialize;
use e2e::client::raw::Raw;
use e2e::client::raw_http2::{
    self, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, PING, PREFACE, RawHttp2, SETTINGS,
    WINDOW_UPDATE, block, frame,
};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::upstream::{Answer, Chunk, Upstream, head, steps};
use e2e::world::World;
use e2e::world::secure::Secure;

/// Longer than any deadline of these tests, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn closed(gateway: &Gateway, cause: &str) -> f64 {
    let metrics = gateway.metrics().await;
    metrics.sum("mcp_gateway_connections_closed_total", &[("cause", cause)])
}

#[tokio::test]
async fn an_incomplete_head_is_answered_408_on_first_and_later_requests() {
    // 97
    let world = World::with(|config| config.set("/timeouts/header", "1s")).await;
    let mut first = world.gateway.raw().await;
    first.send("POST /mcp HTTP/1.1\r\nHost: ").await;
    let body = initialize();
    let mut later = world.gateway.raw().await;
    later
        .send(format!(
            "{}Content-Length: {}\r\n\r\n{body}",
            world.raw_head(),
            body.len()
        ))
        .await;
    assert_eq!(later.reply().await.unwrap().status, 200);
    later.send("P").await;
    for mut connection in [first, later] {
        let reply = connection.reply_within(PATIENCE).await.unwrap();
        assert_eq!(reply.status, 408);
        assert_eq!(reply.header("connection"), "close");
        assert!(connection.closes(PATIENCE).await);
    }
    assert_eq!(world.gateway.counted("header_deadline", 2.0).await, 2.0);
    assert_eq!(closed(&world.gateway, "silent").await, 0.0);
}

#[tokio::test]
async fn a_silent_connection_is_closed_without_a_response() {
    // 97
    let world = World::with(|config| config.set("/timeouts/header", "1s")).await;
    let mut silent = world.gateway.raw().await;
    assert!(silent.reply_within(PATIENCE).await.is_none());
    assert_eq!(closed(&world.gateway, "silent").await, 1.0);
    assert_eq!(world.gateway.refusals("header_deadline").await, 0.0);
}

#[tokio::test]
async fn handshakes_that_fail_or_stop_are_counted() {
    // 100, 157: plain HTTP, garbage, and silence instead of a handshake.
    let setting = Secure::start().await;
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", ""] {
        let mut connection = Raw::connect(setting.gateway.config.public).await;
        connection.send(bytes).await;
        assert!(connection.closes(PATIENCE).await, "{bytes:?}");
    }
    eventually("three handshakes are counted", async || {
        closed(&setting.gateway, "handshake").await == 3.0
    })
    .await;
}

#[tokio::test]
async fn tls_on_a_plain_port_is_a_bad_request() {
    // 157
    let world = World::start().await;
    let mut connection = world.gateway.raw().await;
    let hello = [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0, b'\r', b'\n', b'\r', b'\n'];
    connection.send(hello).await;
    if let Some(reply) = connection.reply().await {
        assert_eq!(reply.status, 400);
    }
    assert!(connection.closes(PATIENCE).await);
    let log = world.gateway.log().await;
    assert!(
        log.bytes()
            .all(|byte| !byte.is_ascii_control() || byte == b'\n')
    );
}

#[tokio::test]
async fn more_fields_than_the_parser_accepts_are_answered_431() {
    // 102
    let world = World::start().await;
    for count in [101, 256, 257, 300, 2000] {
        let fields = "a: b\r\n".repeat(count);
        let head = format!("{}Content-Length: 0\r\n{fields}\r\n", world.raw_head());
        let reply = world.raw_refusal(head, 431, "headers_too_large").await;
        assert!(reply.is_ok(), "{count}: {reply:?}");
    }
    let long = format!("{}x: {}\r\n\r\n", world.raw_head(), "y".repeat(200_000));
    let mut connection = world.gateway.raw().await;
    connection.send(long).await;
    // The answer can be lost while it is still sending.
    if let Some(reply) = connection.reply().await {
        assert_eq!(reply.status, 431);
    }
    assert_eq!(world.gateway.counted("headers_too_large", 6.0).await, 6.0);
}

#[tokio::test]
async fn http_2_connections_without_a_request_are_closed() {
    // 97: nothing, half a preface, a preface, a head without its end, pings.
    let setting = Secure::start().await;
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let open_head = frame(HEADERS, 0, 1, &block(&[(b":method", b"GET")]));
    let kinds = [
        Vec::new(),
        PREFACE[..10].to_vec(),
        start.clone(),
        [start.clone(), open_head].concat(),
    ];
    let count = kinds.len() as f64;
    for bytes in kinds {
        let config = client(&setting.authority, &[b"h2"]);
        let address = setting.gateway.config.public;
        let mut connection = RawHttp2::connect_silently(address, config, None).await;
        connection.send(&bytes).await;
        assert!(connection.ends(PATIENCE).await.is_some(), "{bytes:?}");
    }
    let config = client(&setting.authority, &[b"h2"]);
    let mut pinging = RawHttp2::connect(setting.gateway.config.public, config).await;
    let pings = async {
        while pinging.send(frame(PING, 0, 0, &[0; 8])).await {
            let next = tokio::time::timeout(Duration::from_millis(100), pinging.next()).await;
            if matches!(next, Ok(None)) {
                break;
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, pings).await;
    assert!(ended.is_ok(), "pings keep a connection without requests");
    eventually("each is counted", async || {
        closed(&setting.gateway, "silent").await == count + 1.0
    })
    .await;
}

#[tokio::test]
async fn a_used_http_2_connection_that_only_pings_is_closed() {
    // 97
    let setting = Secure::with(|config| config.set("/timeouts/keep_alive", "2s")).await;
    let mut connection = connect(&setting, &[], None).await;
    connection.send(post(&setting, 1)).await;
    assert_eq!(connection.next_of(HEADERS).await.unwrap().stream, 1);
    let open_head = frame(HEADERS, 0, 3, &block(&[(b":method", b"GET")]));
    for last in [frame(PING, 0, 0, &[0; 8]), open_head] {
        connection.send(last).await;
    }
    assert!(connection.ends(PATIENCE).await.is_some());
}

async fn connect(setting: &Secure, settings: &[(u16, u32)], buffer: Option<u32>) -> RawHttp2 {
    let config = client(&setting.authority, &[b"h2"]);
    RawHttp2::connect_with(setting.gateway.config.public, config, settings, buffer).await
}

/// A good request on this stream.
fn post(setting: &Secure, stream: u32) -> Vec<u8> {
    let authority = setting.gateway.config.public_url().replace("https://", "");
    let bearer = format!("Bearer {}", setting.token());
    let fields = block(&[
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/mcp"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"authorization", bearer.as_bytes()),
    ]);
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &fields);
    bytes.extend(frame(
        raw_http2::DATA,
        END_STREAM,
        stream,
        initialize().as_bytes(),
    ));
    bytes
}

/// Answers with far more than all buffers hold.
fn plenty(upstream: &Upstream) {
    upstream.script(|_| {
        let block = Bytes::from(vec![b'y'; 1 << 20]);
        let body = steps((0..200).map(|_| Chunk::Data(block.clone())));
        Answer::Stream(head(200, &[("content-type", "text/event-stream")]), body)
    });
}

/// Resident memory of a process, in bytes.
fn resident(gateway: &Gateway) -> u64 {
    let id = gateway.process.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

#[tokio::test]
async fn closed_and_tiny_flow_control_windows_hold_memory_only_briefly() {
    // 99, 103
    let setting = Secure::with(|config| config.set("/timeouts/write_idle", "2s")).await;
    plenty(&setting.upstream);
    let before = resident(&setting.gateway);
    let mut shut = connect(&setting, &[(INITIAL_WINDOW_SIZE, 0)], None).await;
    let mut dripping = connect(&setting, &[(INITIAL_WINDOW_SIZE, 1)], None).await;
    for index in 0..50 {
        shut.send(post(&setting, 2 * index + 1)).await;
        dripping.send(post(&setting, 2 * index + 1)).await;
    }
    setting.upstream.received(100).await;
    let grown = resident(&setting.gateway).saturating_sub(before);
    assert!(grown < 20 << 20, "{grown} bytes for 100 streams");
    let drip = async {
        loop {
            for index in 0..50 {
                let open = frame(WINDOW_UPDATE, 0, 2 * index + 1, &1_u32.to_be_bytes());
                if !dripping.send(open).await {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = setting.upstream.deserted(PATIENCE) => {}
        () = drip => setting.upstream.deserted(PATIENCE).await,
    }
    drop(shut);
}

#[tokio::test]
async fn a_connection_that_is_not_read_is_closed_even_with_open_windows() {
    // 99: the windows are wide open, the socket is not read.
    let setting = Secure::with(|config| config.set("/timeouts/write_idle", "2s")).await;
    plenty(&setting.upstream);
    let wide = [(INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
    let mut connection = connect(&setting, &wide, Some(4096)).await;
    let all = frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes());
    connection.send(all).await;
    let before = resident(&setting.gateway);
    for index in 0..50 {
        connection.send(post(&setting, 2 * index + 1)).await;
    }
    setting.upstream.received(50).await;
    setting.upstream.deserted(PATIENCE).await;
    let grown = resident(&setting.gateway).saturating_sub(before);
    assert!(grown < 30 << 20, "{grown} bytes for 50 streams");
    eventually("the connection is closed", async || {
        let metrics = setting.gateway.metrics().await;
        // The scrape comes over the admin listener, which is not counted.
        metrics.sum("mcp_gateway_connections_active", &[]) == 0.0
    })
    .await;
    drop(connection);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_disconnected() {
    // 99
    let world = World::with(|config| config.set("/timeouts/write_idle", "2s")).await;
    plenty(&world.upstream);
    let mut reading = Slow::connect(world.gateway.config.public).await;
    let body = initialize();
    let call = format!(
        "{}Content-Length: {}\r\n\r\n{body}",
        world.raw_head(),
        body.len()
    );
    reading.call(&call).await;
    world.upstream.received(1).await;
    tokio::select! {
        () = world.upstream.deserted(PATIENCE) => {}
        () = reading.drip() => world.upstream.deserted(PATIENCE).await,
    }
}

/// A client with a very small receive buffer, which reads a byte now and then.
struct Slow(tokio::net::TcpStream);

impl Slow {
    async fn connect(address: std::net::SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self(socket.connect(address).await.unwrap())
    }

    async fn call(&mut self, bytes: &str) {
        use tokio::io::AsyncWriteExt;
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn drip(&mut self) {
        use tokio::io::AsyncReadExt;
        while self.0.read_exact(&mut [0]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
