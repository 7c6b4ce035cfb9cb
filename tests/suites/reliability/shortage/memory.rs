//! Little memory: thousands of clients send large bodies and never finish them. The gateway stays within its limit, and serves
//! again when they have disconnected.

use std::time::Duration;

use e2e::client::http;
use e2e::eventually;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::Figures;
use crate::load::echo;
use crate::scale::Scale;
use crate::site::Site;

const LIMIT_MB: f64 = 256.0;

/// Bytes that a client announces, and sends.
const ANNOUNCED: usize = 4 * 1024 * 1024;
const SENT: usize = ANNOUNCED - 1;

pub async fn run(scale: Scale) -> Figures {
    let clients = scale.count(200, 2000);
    // All of them are one principal: without shares, the memory for all bodies is what limits them.
    let site = Site::start(|config| {
        config
            .set("/limits/memory", "256MiB")
            .set("/limits/bodies_bytes_per_principal", "1GiB")
            .set("/limits/bodies_bytes_per_address", "1GiB")
    })
    .await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..clients {
        crowd.spawn(hoard(site.gateway.config.public, head(&site)));
    }
    let mut done = 0;
    while done < clients && crowd.join_next().await.is_some() {
        done += 1;
    }
    let peak = site.peak();
    assert!(peak < LIMIT_MB, "{peak:.0} MB");
    let url = site.gateway.url("/mcp");
    eventually("a new client is served", async || {
        tokio::time::timeout(Duration::from_secs(1), echo(&http(), &url, &site.token))
            .await
            .is_ok_and(|outcome| outcome.is_ok())
    })
    .await;
    format!(
        "{clients} clients with {} MB each under a limit of {LIMIT_MB} MiB: at most {peak:.0} MB used, served again afterwards",
        ANNOUNCED / 1024 / 1024
    )
}

/// Sends all of a body but its end, and stays until it is closed or nothing more is read.
async fn hoard(address: std::net::SocketAddr, head: String) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    let body = vec![b' '; SENT];
    let sending = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.readable().await
    };
    // Closed, refused, or held until now: each is allowed.
    let _ = tokio::time::timeout(Duration::from_secs(8), sending).await;
}

fn head(site: &Site) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {ANNOUNCED}\r\n\r\n",
        site.gateway.config.public, site.token
    )
}
