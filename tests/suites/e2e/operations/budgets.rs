//! What a call and a sleeping stream cost the real process: allocations that jemalloc counts, and bytes of memory. The
//! figures that are allowed are in `tests/budgets.yaml`.

use std::fs;

use e2e::client::Call;
use e2e::client::request;
use e2e::client::sse::Events;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::upstream::{Answer, Chunk, Feed, Feeds, head, result, steps};
use e2e::world::secure::Secure;
use http::Method;
use serde_json::{Value, json};
use test_support::within_budget;

/// jemalloc prints its statistics at the exit, as JSON and without its parts.
const STATISTICS: (&str, &str) = (
    "_RJEM_MALLOC_CONF",
    "stats_print:true,stats_print_opts:Jgdablxeh",
);

/// Calls of two processes. What one of them needs beside its calls is the same in the other.
const CALLS: [usize; 2] = [200, 1_200];

/// Open streams at the beginning and the end of a measurement of memory.
const STREAMS: [usize; 2] = [100, 500];

/// Streams that share an HTTP/2 connection (`limits.streams_per_connection`).
const SHARED: usize = 100;

/// An answer to a call.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Events,
}

/// Allocations of a whole process that answers so many calls.
async fn allocations(calls: usize, kind: Kind, http1: bool) -> f64 {
    let start = async |config| Gateway::start_with(config, &[STATISTICS]).await;
    let quiet = |config: Config| config.set("/log/level", "error");
    let mut world = Secure::starting(quiet, start).await;
    world
        .upstream
        .script(move |recorded| answer(kind, &recorded.json()["id"]));
    let (http, token) = (world.http(http1), world.token());
    for id in 0..calls {
        let message = request(id, "tools/list", json!({}));
        let call = Call::post(&http, world.gateway.uri("/mcp"), message).token(&token);
        assert_eq!(call.send().await.status, 200);
    }
    drop(http);
    let output = world.gateway.output();
    assert_eq!(world.gateway.stop().await, Some(0));
    let mut count = None;
    e2e::eventually("the statistics of jemalloc", async || {
        count = requested(&output.text());
        count.is_some()
    })
    .await;
    count.unwrap()
}

/// How many blocks were asked for in all, as jemalloc's statistics say.
fn requested(output: &str) -> Option<f64> {
    let line = output
        .lines()
        .find(|line| line.starts_with("{\"jemalloc\""))?;
    let statistics: Value = serde_json::from_str(line).ok()?;
    let merged = &statistics["jemalloc"]["stats.arenas"]["merged"];
    let count = |size: &str| merged[size]["nrequests"].as_f64();
    Some(count("small")? + count("large")?)
}

fn answer(kind: Kind, id: &Value) -> Answer {
    let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    let last = json!({ "jsonrpc": "2.0", "id": id, "result": { "tools": [] } });
    match kind {
        Kind::Json => result(id, json!({ "tools": [] })),
        Kind::Events => {
            let events = [&progress, &progress, &last].map(|event| format!("data: {event}\n\n"));
            let chunks = events.into_iter().map(|event| Chunk::Data(event.into()));
            Answer::Stream(
                head(200, &[("content-type", "text/event-stream")]),
                steps(chunks),
            )
        }
    }
}

async fn allocations_of_a_call(kind: Kind, http1: bool) -> f64 {
    let [few, many] = CALLS;
    let (less, more) = tokio::join!(
        allocations(few, kind, http1),
        allocations(many, kind, http1)
    );
    (more - less) / (many - few) as f64
}

#[tokio::test]
async fn the_allocations_of_a_call_are_within_their_budgets() {
    let json = allocations_of_a_call(Kind::Json, true).await;
    within_budget("allocations_json_http1", json);
    let json = allocations_of_a_call(Kind::Json, false).await;
    within_budget("allocations_json_http2", json);
    let events = allocations_of_a_call(Kind::Events, true).await;
    within_budget("allocations_events_http1", events);
}

/// A stream that is held open, from both sides.
type Held = (Feed, Events);

async fn listen(world: &Secure, http: &reqwest::Client, feeds: &mut Feeds, token: &str) -> Held {
    let call = Call::new(http, Method::GET, world.gateway.uri("/mcp")).token(token);
    let call = call.with("accept", "text/event-stream");
    let answer = tokio::spawn(call.open());
    let feed = feeds.next().await;
    feed.event("x");
    let mut events = Events::new(answer.await.unwrap());
    assert_eq!(events.data().await, "x");
    (feed, events)
}

/// Bytes of memory of the process that are no part of a file.
fn resident(gateway: &Gateway) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process.id())).unwrap();
    let found = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = found.unwrap().trim().trim_end_matches(" kB");
    1024.0 * kibibytes.parse::<f64>().unwrap()
}

async fn bytes_of_a_stream(http1: bool) -> f64 {
    let world = Secure::with(|config| {
        let upstream = json!({ "url": config.upstream(), "http2": !http1 });
        config
            .set("/resources/0/upstream", upstream)
            .set("/log/level", "error")
            .set("/limits/calls_per_principal", 1_000)
            .set("/limits/listening_streams_per_principal", 1_000)
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.token();
    let (mut http, mut held, mut at) = (world.http(http1), Vec::new(), Vec::new());
    for count in 1..=STREAMS[1] {
        held.push(listen(&world, &http, &mut feeds, &token).await);
        if count % SHARED == 0 {
            http = world.http(http1);
        }
        if STREAMS.contains(&count) {
            at.push(resident(&world.gateway));
        }
    }
    (at[1] - at[0]) / (STREAMS[1] - STREAMS[0]) as f64
}

#[tokio::test]
async fn the_memory_of_an_idle_stream_is_within_its_budget() {
    within_budget("stream_bytes_http1", bytes_of_a_stream(true).await);
    within_budget("stream_bytes_http2", bytes_of_a_stream(false).await);
}
