//! One principal sends large bodies and stops one byte short, again and again: it gets its share of the memory for bodies, and
//! all others are served.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::gateway::Gateway;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Figures;
use crate::load::Load;
use crate::scale::Scale;
use crate::site::Site;

/// The largest body.
const ANNOUNCED: usize = 4 << 20;

/// Between two ordinary calls of a client.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn run(scale: Scale) -> Figures {
    let clients = scale.count(33, 200);
    let start = async |config| Gateway::start(config).await;
    let (site, attacker) = Site::with_another(|config| config, start).await;
    let address = site.gateway.config.public;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {attacker}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {ANNOUNCED}\r\n\r\n"
    );
    let mut attack = JoinSet::new();
    for _ in 0..clients {
        let head = head.clone();
        attack.spawn(async move {
            loop {
                let _ = stall(address, &head).await;
            }
        });
    }
    let load = Load::pausing(&site, PAUSE);
    tokio::time::sleep(scale.seconds(8, 30)).await;
    let ordinary = load.finish().await;
    let metrics = site.gateway.metrics().await;
    attack.shutdown().await;
    ordinary.expect_success();
    let refused = site.gateway.refusals("principal_bodies_too_large").await;
    assert!(refused > 0.0, "no body was refused");
    let held = metrics.sum("mcp_gateway_body_bytes", &[]) / f64::from(1 << 20);
    let all = metrics.sum("mcp_gateway_body_bytes_limit", &[]) / f64::from(1 << 20);
    assert!(held < all / 2.0, "{held} of {all} MB");
    format!(
        "{clients} bodies of {} MB of one principal that stop one byte short: {held:.0} of {all:.0} MB held, {refused} got 429; \
         {} ordinary calls, 0 failed, slowest {} ms",
        ANNOUNCED >> 20,
        ordinary.calls(),
        ordinary.slowest().as_millis(),
    )
}

/// Sends all but the last byte, and stays until the connection is closed.
async fn stall(address: SocketAddr, head: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&vec![b' '; ANNOUNCED - 1]).await?;
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}
