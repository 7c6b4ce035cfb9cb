//! SIGTERM under load: a client that follows the readiness page, as a load balancer does, loses no call; slow calls in flight
//! finish, streams end cleanly, and the process exits before its deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, http};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Figures;
use crate::load::{Load, check_answer};
use crate::scale::Scale;
use crate::site::{Site, call};

const STREAMS: usize = 100;
const SLOW_CALLS: usize = 50;

/// How long the gateway still accepts, and the interval of the readiness probe.
const DELAY: Duration = Duration::from_secs(1);
const PROBE: Duration = Duration::from_millis(50);

pub async fn run(scale: Scale) -> Figures {
    let slow = scale.seconds(2, 5);
    let mut site = Site::start(|config| {
        config
            .set("/shutdown", json!({ "delay": "1s", "drain": "20s" }))
            .set("/limits/listening_streams_per_principal", STREAMS)
    })
    .await;
    let streams = streams(&site).await;
    let slow_calls = slow_calls(&site, slow);
    let load = Load::start(&site);
    tokio::time::sleep(Duration::from_millis(500)).await;

    site.gateway.process.signal("TERM");
    let signalled = Instant::now();
    let ready = Arc::new(AtomicBool::new(true));
    while ready.load(Ordering::Relaxed) && signalled.elapsed() < DELAY {
        ready.store(
            site.gateway.admin("/readyz").await.status == 200,
            Ordering::Relaxed,
        );
        tokio::time::sleep(PROBE).await;
    }
    let tally = load.finish().await;
    tally.expect_success();
    let ended = streams.join_all().await;
    assert!(ended.iter().all(|end| *end == Item::End), "{ended:?}");
    let finished = slow_calls.join_all().await;
    assert!(finished.iter().all(Result::is_ok), "{finished:?}");
    let status = site.gateway.process.exit(Duration::from_secs(20)).await;
    assert_eq!(status.code(), Some(0));
    format!(
        "{} quick calls, {SLOW_CALLS} calls of {} s and {STREAMS} streams in flight: 0 failed; exited after {:.1} s",
        tally.calls(),
        slow.as_secs(),
        signalled.elapsed().as_secs_f64()
    )
}

/// Streams that listen, each read to its end.
pub async fn streams(site: &Site) -> JoinSet<Item> {
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        // Each on its own connection, as if from its own client.
        let listen = Call::new(&http(), http::Method::GET, site.gateway.url("/mcp"))
            .with("accept", "text/event-stream")
            .token(&site.token);
        let mut events = Events::new(listen.open().await);
        streams.spawn(async move {
            loop {
                match events.next().await {
                    Item::Event(_) | Item::Comment(_) => {}
                    end => return end,
                }
            }
        });
    }
    streams
}

/// Calls of this duration, in flight.
pub fn slow_calls(site: &Site, length: Duration) -> JoinSet<Result<(), String>> {
    let mut calls = JoinSet::new();
    for _ in 0..SLOW_CALLS {
        let slow = call("slow", json!({ "seconds": length.as_secs() }));
        let slow = Call::post(&http(), site.gateway.url("/mcp"), slow).token(&site.token);
        calls.spawn(async move { check_answer(slow.attempt().await).await });
    }
    calls
}
