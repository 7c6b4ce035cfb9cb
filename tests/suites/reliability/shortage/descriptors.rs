//! More clients than descriptors: open streams continue, and new clients are served as soon as the others have disconnected.

use std::time::{Duration, Instant};

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, http};
use e2e::eventually;
use e2e::gateway::{self, Gateway};
use e2e::process::Process;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::Figures;
use crate::load::echo;
use crate::scale::Scale;
use crate::site::Site;

const DESCRIPTORS: usize = 256;
const CLIENTS: usize = 1000;
const STREAMS: usize = 20;

/// Events that each stream must bring while descriptors are short.
const EVENTS: usize = 10;

pub async fn run(_: Scale) -> Figures {
    let (config, token, upstream) =
        Site::prepare(|config| config.set("/limits/listening_streams_per_principal", STREAMS))
            .await;
    let ordinary = gateway::command(&["run", "--config"], &config);
    let ordinary = ordinary.as_std();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\""))
        .arg(ordinary.get_program())
        .args(ordinary.get_args())
        .current_dir(config.folder());
    let gateway = Gateway::ready(Process::spawn(command), config).await;
    let site = Site::around(gateway, token, upstream);

    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let listen = Call::new(&http(), http::Method::GET, site.gateway.url("/mcp"));
        let listen = listen
            .with("accept", "text/event-stream")
            .token(&site.token);
        streams.push(Events::new(listen.open().await));
    }
    let address = site.gateway.config.public;
    let crowd =
        futures_util::future::join_all((0..CLIENTS).map(|_| TcpStream::connect(address))).await;
    let connected = crowd.iter().filter(|client| client.is_ok()).count();
    for stream in &mut streams {
        for _ in 0..EVENTS {
            assert!(matches!(
                stream.next().await,
                Item::Event(_) | Item::Comment(_)
            ));
        }
    }
    drop(crowd);
    let left = Instant::now();
    let url = site.gateway.url("/mcp");
    eventually("a new client is served", async || {
        tokio::time::timeout(Duration::from_millis(500), echo(&http(), &url, &site.token))
            .await
            .is_ok_and(|outcome| outcome.is_ok())
    })
    .await;
    format!(
        "{DESCRIPTORS} descriptors, {connected} clients: {STREAMS} of {STREAMS} open streams continued; \
         new clients served {} ms after the others had disconnected",
        left.elapsed().as_millis()
    )
}
