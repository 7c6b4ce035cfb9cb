//! Thousands of clients that do everything slowly, each to hold a place for as long as possible, while ordinary clients still
//! work: none of their calls fails or takes a second.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Figures;
use crate::load::{Load, Tally};
use crate::scale::Scale;
use crate::site::{Site, call};

const REQUESTS: &str = "mcp_gateway_requests_total";

/// Limit for an ordinary call.
const SLOWEST: Duration = Duration::from_secs(1);

/// Between two bytes of a slow client.
const DRIP: Duration = Duration::from_millis(500);

/// Bytes of an answer that is not read, or of a body that is not sent: more than the system's buffers take.
const UNREAD: usize = 256 * 1024;

/// Between the arrivals of two slow clients: the test is about slow clients, not about many at once.
const ARRIVAL: Duration = Duration::from_millis(5);

/// Between two ordinary calls of a client: the machine must not be busy with them.
const PAUSE: Duration = Duration::from_millis(20);

/// A head that never ends.
pub async fn headers(scale: Scale) -> Figures {
    scenario(scale, |_| Slow::Drip("POST /mcp HTTP/1.1\r\nHost: ".into())).await
}

/// A body that never ends.
pub async fn bodies(scale: Scale) -> Figures {
    scenario(scale, |site| {
        Slow::Drip(head(site, UNREAD) + "{\"jsonrpc\": \"2.0\", \"method\": \"")
    })
    .await
}

/// An answer that is never read.
pub async fn readers(scale: Scale) -> Figures {
    scenario(scale, |site| {
        let body = call("big", json!({ "bytes": UNREAD }));
        Slow::Deaf(head(site, body.len()) + &body)
    })
    .await
}

/// A TLS handshake that never ends.
pub async fn handshakes(scale: Scale) -> Figures {
    // The first bytes of a ClientHello of 512 bytes.
    let hello = "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0";
    tls_scenario(scale, Slow::Drip(hello.into())).await
}

/// What a slow client does after it has connected.
#[derive(Clone)]
enum Slow {
    /// Sends this, then a byte now and then.
    Drip(String),
    /// Sends this and reads nothing.
    Deaf(String),
}

async fn scenario(scale: Scale, slow: impl FnOnce(&Site) -> Slow) -> Figures {
    // The slow clients and the ordinary ones are one principal.
    // Nor does the gateway give the slow ones up while they are counted.
    let site = Site::start(|config| {
        config
            .set("/limits/calls_per_principal", 10_000)
            .set("/timeouts/write_idle", "5m")
    })
    .await;
    let slow = slow(&site);
    let address = site.gateway.config.public;
    measure(scale, &site, address, slow).await
}

async fn tls_scenario(scale: Scale, slow: Slow) -> Figures {
    let port = e2e::process::port::free();
    let site = Site::start(|config| {
        let leaf = e2e::certificates::Authority::new().leaf(&["localhost"]);
        let (certificate, private_key) = leaf.write(config.folder(), "tls");
        let tls =
            json!({ "certificates": [{ "certificate": certificate, "private_key": private_key }] });
        config.set(
            "/listen/1",
            json!({ "address": port.to_string(), "tls": tls }),
        )
    })
    .await;
    measure(scale, &site, port, slow).await
}

/// Ordinary calls without and with slow clients.
async fn measure(scale: Scale, site: &Site, address: SocketAddr, slow: Slow) -> Figures {
    let (clients, length) = (scale.count(200, 2000), scale.seconds(3, 30));
    let without = ordinary(site, length / 3).await;
    let mut crowd = JoinSet::new();
    for number in 0..clients {
        let slow = slow.clone();
        crowd.spawn(async move {
            tokio::time::sleep(ARRIVAL * number as u32).await;
            hold(address, slow).await;
        });
    }
    let with_slow = ordinary(site, length).await;
    if matches!(slow, Slow::Deaf(_)) {
        let answered = site.gateway.metrics().await.sum(REQUESTS, &[]);
        let ordinary = (without.calls() + with_slow.calls()) as f64;
        assert!(
            answered <= ordinary,
            "answers were sent to clients that do not read"
        );
    }
    crowd.shutdown().await;
    assert!(
        with_slow.slowest() < SLOWEST,
        "the slowest ordinary call took {:?}",
        with_slow.slowest()
    );
    let ratio =
        |share| with_slow.quantile(share).as_secs_f64() / without.quantile(share).as_secs_f64();
    format!(
        "{clients} slow clients, {} ordinary calls, 0 failed, slowest {} ms; p50 ×{:.2}, p99 ×{:.2}; memory {:.0} MB",
        with_slow.calls(),
        with_slow.slowest().as_millis(),
        ratio(0.5),
        ratio(0.99),
        site.peak()
    )
}

async fn ordinary(site: &Site, length: Duration) -> Tally {
    let load = Load::pausing(site, PAUSE);
    tokio::time::sleep(length).await;
    let tally = load.finish().await;
    tally.expect_success();
    tally
}

/// Holds a place, and takes another as soon as it is lost.
async fn hold(address: SocketAddr, slow: Slow) {
    loop {
        // The gateway closed it, as it should.
        let _ = attempt(address, &slow).await;
        tokio::time::sleep(DRIP).await;
    }
}

async fn attempt(address: SocketAddr, slow: &Slow) -> std::io::Result<()> {
    let mut stream = connect(address).await?;
    match slow {
        Slow::Deaf(request) => {
            stream.write_all(request.as_bytes()).await?;
            // An error wakes it, nothing else does.
            stream.ready(tokio::io::Interest::ERROR).await?;
            Ok(())
        }
        Slow::Drip(start) => {
            stream.write_all(start.as_bytes()).await?;
            drip(stream).await
        }
    }
}

async fn drip(mut stream: TcpStream) -> std::io::Result<()> {
    let mut byte = [0; 64];
    loop {
        tokio::select! {
            read = stream.read(&mut byte) => {
                if read? == 0 {
                    return Ok(());
                }
            }
            () = tokio::time::sleep(DRIP) => stream.write_all(b"x").await?,
        }
    }
}

/// A connection with the smallest receive buffer that the system allows.
async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    socket.set_nonblocking(true)?;
    tokio::net::TcpSocket::from_std_stream(socket.into())
        .connect(address)
        .await
}

fn head(site: &Site, length: usize) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {length}\r\n\r\n",
        site.gateway.config.public, site.token
    )
}
