//! Attacks over HTTP/2 (attacks 94, 103), frame by frame: each attack ends with its connection or by itself, memory
//! hardly grows, and other clients are not affected.

use std::time::{Duration, Instant};

use e2e::certificates::client;
use e2e::client::initialize;
use e2e::client::raw_http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RESET, RawHttp2,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use e2e::eventually;
use e2e::gateway::Gateway;
use e2e::upstream::Answer;
use e2e::world::secure::Secure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The duration of an attack unless it is stopped. It is longer than the header deadline of these tests.
const ATTACK: Duration = Duration::from_secs(5);

/// Allowed growth of the process's memory, in bytes.
const GROWTH: u64 = 10 << 20;

const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Resident memory of a process, in bytes.
fn resident(gateway: &Gateway) -> u64 {
    let id = gateway.process.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1024
}

async fn connect(setting: &Secure) -> RawHttp2 {
    let config = client(&setting.authority, &[b"h2"]);
    RawHttp2::connect(setting.gateway.config.public, config).await
}

/// The fields of a good request.
fn fields(setting: &Secure, method: &str) -> Vec<u8> {
    let authority = setting.gateway.config.public_url().replace("https://", "");
    let bearer = format!("Bearer {}", setting.token());
    block(&[
        (b":method", method.as_bytes()),
        (b":scheme", b"https"),
        (b":authority", authority.as_bytes()),
        (b":path", b"/mcp"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"authorization", bearer.as_bytes()),
    ])
}

/// A good request on this stream.
fn post(fields: &[u8], stream: u32) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, fields);
    bytes.extend(frame(DATA, END_STREAM, stream, initialize().as_bytes()));
    bytes
}

/// Sends what `attack` makes of 0, 1, 2, … until the other side ends the connection or the time is over, reading all the
/// while. Returns how many were sent, and whether the other side ended it.
async fn flood(connection: RawHttp2, attack: impl Fn(u32) -> Vec<u8>) -> (u32, bool) {
    let (mut read, mut write) = tokio::io::split(connection.into_stream());
    let until = Instant::now() + ATTACK;
    let mut sent = 0;
    let send = async {
        while Instant::now() < until {
            let bytes = attack(sent);
            if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
                return true;
            }
            sent += 1;
            tokio::task::yield_now().await;
        }
        false
    };
    let ended = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(1..) = read.read(&mut buffer).await {}
    };
    let is_ended = tokio::select! {
        is_ended = send => is_ended,
        () = ended => true,
    };
    (sent, is_ended)
}

/// Calls by another client during an attack: each is answered.
async fn bystander(setting: &Secure) {
    let http = setting.http(false);
    loop {
        let reply = setting.post(&http, initialize()).send().await;
        assert_eq!(reply.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How an attack must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The gateway ends the connection.
    Stopped,
    /// It can stay open: each frame costs less than a request would.
    Harmless,
}

/// Runs the attack, and checks its end, the memory, and that others are served.
async fn attack(name: &str, setting: &Secure, end: End, frames: impl Fn(u32) -> Vec<u8>) {
    // Warm up: the first requests allocate memory too.
    let http = setting.http(false);
    for _ in 0..20 {
        assert_eq!(setting.post(&http, initialize()).send().await.status, 200);
    }
    let before = resident(&setting.gateway);
    let connection = connect(setting).await;
    let (sent, is_ended) = tokio::select! {
        done = flood(connection, frames) => done,
        () = bystander(setting) => unreachable!("others call on and on"),
    };
    let grown = resident(&setting.gateway).saturating_sub(before);
    println!(
        "{name}: {sent} sent, ended: {is_ended}, {} KiB grown",
        grown / 1024
    );
    assert!(grown < GROWTH, "{name}: {grown} bytes after {sent}");
    if end == End::Stopped {
        assert!(is_ended, "{name}: still open after {sent}");
    }
    assert_eq!(setting.post(&http, initialize()).send().await.status, 200);
}

/// Stream `index` of a client.
fn stream(index: u32) -> u32 {
    2 * index + 1
}

#[tokio::test]
async fn streams_reset_at_once_end_the_connection() {
    // CVE-2023-44487
    let setting = Secure::start().await;
    let fields = fields(&setting, "POST");
    attack("rapid reset", &setting, End::Stopped, |index| {
        let mut bytes = post(&fields, stream(index));
        bytes.extend(frame(RESET, 0, stream(index), &CANCEL));
        bytes
    })
    .await;
}

#[tokio::test]
async fn streams_reset_while_their_request_runs_end_the_connection_too() {
    // The slower variant: each stream is accepted, and its call sent upstream, before it is reset.
    let setting = Secure::with(|config| config.set("/timeouts/header", "60s")).await;
    setting.upstream.script(|_| Answer::Hang);
    let fields = fields(&setting, "POST");
    let mut connection = connect(&setting).await;
    let mut opened = 0;
    while opened < 1000 {
        let batch = 50;
        for index in opened..opened + batch {
            connection.send(post(&fields, stream(index))).await;
        }
        let expected = (opened + batch) as usize;
        let under_way = eventually("they are in flight", async || {
            setting.upstream.hits() >= expected
        });
        tokio::select! {
            () = under_way => {}
            ended = connection.ends(Duration::from_secs(9)) => {
                assert_eq!(ended, Some(true), "without GOAWAY");
                break;
            }
        }
        for index in opened..opened + batch {
            connection
                .send(frame(RESET, 0, stream(index), &CANCEL))
                .await;
        }
        opened += batch;
        // The upstream request is dropped with its stream.
        setting.upstream.deserted(Duration::from_secs(10)).await;
    }
    assert!(opened <= 200, "{opened} streams were opened and reset");
}

#[tokio::test]
async fn streams_that_the_client_makes_the_gateway_reset_end_the_connection() {
    // CVE-2025-8671: a window that overflows, a frame on a stream its client has closed, an increment of zero.
    let setting = Secure::start().await;
    setting
        .upstream
        .script(|request| match request.header("x-slow") {
            Some(_) => Answer::Hang,
            None => e2e::upstream::echo(request),
        });
    let fields = fields(&setting, "POST");
    type Provocation = fn(u32) -> Vec<u8>;
    let provocations: [(&str, Provocation); 3] = [
        ("window overflow", |stream| {
            frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())
        }),
        ("half-closed", |stream| frame(DATA, 0, stream, b"x")),
        ("zero increment", |stream| {
            frame(WINDOW_UPDATE, 0, stream, &[0; 4])
        }),
    ];
    for (name, provocation) in provocations {
        attack(name, &setting, End::Stopped, |index| {
            let mut bytes = post(&fields, stream(index));
            bytes.extend(provocation(stream(index)));
            bytes
        })
        .await;
    }
}

#[tokio::test]
async fn endless_header_blocks_end_the_connection() {
    // RUSTSEC-2024-0332
    let setting = Secure::start().await;
    let fields = fields(&setting, "POST");
    attack(
        "continuation",
        &setting,
        End::Stopped,
        |index| match index {
            0 => frame(HEADERS, 0, 1, &fields),
            _ => frame(CONTINUATION, 0, 1, &block(&[(b"x", b"y")])),
        },
    )
    .await;
    attack(
        "empty continuation",
        &setting,
        End::Stopped,
        |index| match index {
            0 => frame(HEADERS, 0, 1, &fields),
            _ => frame(CONTINUATION, 0, 1, &[]),
        },
    )
    .await;
}

#[tokio::test]
async fn header_blocks_that_decompress_beyond_the_limit_are_refused_and_not_stored() {
    let setting = Secure::start().await;
    let mut packed = fields(&setting, "POST");
    // A field of 3 KiB goes into the table once (RFC 7541 §6.2.1); each further byte names it again.
    packed.extend([0x40, 1, b'a', 0x7f, 0x81, 0x17]);
    packed.extend(vec![b'b'; 3072]);
    packed.extend(vec![0x80 | 62; 10_000]);
    attack("HPACK bomb", &setting, End::Stopped, |index| {
        post(&packed, stream(index))
    })
    .await;
    assert_eq!(setting.upstream.last().header("a"), None);

    let long = vec![b'y'; 15_000];
    let mut block = fields(&setting, "POST");
    let mut large = frame(HEADERS, 0, 1, &block);
    block = e2e::client::raw_http2::block(&[(b"x", &long)]);
    for _ in 0..20 {
        large.extend(frame(CONTINUATION, 0, 1, &block));
    }
    large.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
    attack("300 KiB of fields", &setting, End::Stopped, |_| {
        large.clone()
    })
    .await;
}

/// Frames that are cheap to send and request nothing.
fn idle_frames() -> [(&'static str, Vec<u8>); 5] {
    [
        ("pings", frame(PING, 0, 0, &[0; 8])),
        ("settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("windows", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown frames", frame(0xbe, 0, 0, &[0; 64])),
    ]
}

#[tokio::test]
async fn a_flood_without_a_request_is_closed_at_the_header_deadline() {
    let setting = Secure::start().await;
    for (name, bytes) in idle_frames() {
        attack(name, &setting, End::Stopped, |_| bytes.repeat(50)).await;
    }
}

#[tokio::test]
async fn floods_during_a_running_call_are_harmless() {
    // Each frame costs less than a request would, and nothing of it is stored.
    let setting = Secure::start().await;
    setting.upstream.script(|request| match request.body.len() {
        0 => Answer::Hang,
        _ => e2e::upstream::echo(request),
    });
    let listen = fields(&setting, "GET");
    let listen = frame(HEADERS, END_HEADERS | END_STREAM, 1, &listen);
    for (name, bytes) in idle_frames() {
        attack(name, &setting, End::Harmless, |index| match index {
            0 => listen.clone(),
            _ => bytes.repeat(50),
        })
        .await;
    }
}

#[tokio::test]
async fn empty_frames_of_a_body_end_the_connection() {
    let setting = Secure::start().await;
    let fields = fields(&setting, "POST");
    attack("empty DATA", &setting, End::Stopped, |index| match index {
        0 => frame(HEADERS, END_HEADERS, 1, &fields),
        _ => frame(DATA, 0, 1, &[]),
    })
    .await;
}

#[tokio::test]
async fn a_working_connection_is_not_closed_for_the_streams_it_cancels() {
    // Every second call is cancelled, 300 times.
    let setting = Secure::start().await;
    setting
        .upstream
        .script(|request| match request.header("mcp-name") {
            Some(_) => Answer::Hang,
            None => e2e::upstream::echo(request),
        });
    let http = setting.http(false);
    let calls = async |hang: bool| {
        let call = setting.post(&http, initialize());
        if hang {
            let call = call.with("mcp-name", "x");
            let _ = tokio::time::timeout(Duration::from_millis(20), call.send()).await;
        } else {
            assert_eq!(call.send().await.status, 200);
        }
    };
    for _ in 0..300 {
        calls(true).await;
        calls(false).await;
    }
}
