//! What a process costs while nothing happens: few wake-ups (`wake_ups` of `tests/budgets.yaml`).

use std::fs;
use std::time::Duration;

use e2e::client::Call;
use e2e::client::request;
use e2e::client::sse::Events;
use e2e::gateway::Gateway;
use e2e::gateway::config::Config;
use e2e::sign_in::with_authorization_server;
use e2e::world::World;
use e2e::world::secure::Secure;
use http::Method;
use serde_json::json;
use test_support::{Key, budget};

/// How long they are counted.
const WINDOW: Duration = Duration::from_secs(5);

/// How many windows may go by until the process has settled: memory that was freed goes back to the system within ten
/// seconds.
const WINDOWS: usize = 8;

/// Quiet event streams that are open meanwhile.
const STREAMS: usize = 16;

/// How often threads of the process went to sleep so far.
fn sleeps(gateway: &Gateway) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.process.id())).unwrap();
    tasks
        .map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap())
        .map(|status| {
            let mut lines = status.lines();
            let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            count.unwrap().trim().parse::<usize>().unwrap()
        })
        .sum()
}

/// Waits until the process sleeps, and fails when it does not.
async fn settles(gateway: &Gateway) {
    let (mut found, allowed) = (Vec::new(), budget("wake_ups"));
    for _ in 0..WINDOWS {
        let before = sleeps(gateway);
        tokio::time::sleep(WINDOW).await;
        let wake_ups = sleeps(gateway).saturating_sub(before) as f64 / WINDOW.as_secs_f64();
        if wake_ups <= allowed {
            return;
        }
        found.push(wake_ups);
    }
    panic!(
        "wake_ups: found {found:?} a second, window by window, at most {allowed} is allowed (tests/budgets.yaml)"
    );
}

fn call(world: &World) -> Call {
    let body = request(1, "tools/list", json!({}));
    world.gateway.post(body).token(&world.reader())
}

#[tokio::test]
async fn an_idle_process_sleeps() {
    for is_watching in [true, false] {
        let world = World::with(|config| {
            let config = config.set("/reload", json!({ "watch": is_watching }));
            config.set("/limits/memory", "1GiB")
        })
        .await;
        settles(&world.gateway).await;
        call(&world).send().await;
        settles(&world.gateway).await;
    }
}

#[tokio::test]
async fn an_idle_authorization_server_sleeps() {
    let config = Config::new("http://127.0.0.1:9/mcp", &[&Key::es256("first")]);
    let gateway = Gateway::start(with_authorization_server(config).await).await;
    settles(&gateway).await;
}

#[tokio::test]
async fn an_open_http2_connection_wakes_no_process() {
    let world = Secure::start().await;
    let http = world.http(false);
    let called = world.post(&http, request(1, "tools/list", json!({})));
    assert_eq!(called.send().await.status, 200);
    settles(&world.gateway).await;
    drop(http);
}

#[tokio::test]
async fn quiet_event_streams_wake_no_process() {
    let world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let call = Call::new(&e2e::client::http(), Method::GET, world.gateway.url("/mcp"));
        let call = call.token(&world.reader());
        let answer = tokio::spawn(call.with("accept", "text/event-stream").open());
        let feed = feeds.next().await;
        feed.event("x");
        let mut events = Events::new(answer.await.unwrap());
        assert_eq!(events.data().await, "x");
        open.push((feed, events));
    }
    settles(&world.gateway).await;
}
