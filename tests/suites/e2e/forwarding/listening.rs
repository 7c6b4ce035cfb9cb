//! Limits of listening streams, per principal and for all principals (attack 109).

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, request};
use e2e::eventually;
use e2e::upstream::{self, Answer, Feed, Feeds, Recorded};
use e2e::world::World;
use e2e::world::secure::Secure;
use http::Method;
use serde_json::json;

async fn world(own: usize, all: usize) -> World {
    World::with(|config| {
        config
            .set("/limits/listening_streams_per_principal", own)
            .set("/limits/listening_streams", all)
    })
    .await
}

/// The two ways to listen.
fn ways(world: &World, token: &str) -> [Call; 2] {
    [listen(world, token), subscribe(world, token)]
}

fn listen(world: &World, token: &str) -> Call {
    let call = world.gateway.get("/mcp").token(token);
    call.with("accept", "text/event-stream")
}

fn subscribe(world: &World, token: &str) -> Call {
    let params = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
    let body = request(1, "subscriptions/listen", params);
    let call = world.gateway.post(body).token(token);
    call.modern("subscriptions/listen", None)
}

/// The answer of servers without notifications.
fn no_streams(_: &Recorded) -> Answer {
    Answer::Full(upstream::with(405, "text/plain", "no streams here"))
}

/// An open stream, from both sides.
struct Open {
    feed: Feed,
    events: Events,
}

async fn open(feeds: &mut Feeds, call: Call) -> Open {
    let answer = tokio::spawn(call.open());
    let feed = feeds.next().await;
    feed.event("x");
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut events = Events::new(answer);
    assert_eq!(events.data().await, "x");
    Open { feed, events }
}

#[tokio::test]
async fn the_listening_streams_of_a_principal_are_limited() {
    let world = world(2, 100).await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = world.reader();
    let mut held = Vec::new();
    for way in ways(&world, &token) {
        held.push(open(&mut feeds, way).await);
    }
    // Another token of the same principal does not avoid the limit.
    let again = world.token().claim("jti", "another").sign();
    for way in ways(&world, &again) {
        let reply = world.refusal(way, 429, "too_many_streams").await.unwrap();
        assert_eq!(reply.headers["retry-after"], "5");
    }
    let other = world.token().subject("another user").sign();
    held.push(open(&mut feeds, listen(&world, &other)).await);

    // Answers to calls are not counted.
    let call = world
        .gateway
        .post(request(7, "tools/list", json!({})))
        .token(&token);
    let mut running = open(&mut feeds, call).await;
    drop(running.feed);
    assert_eq!(running.events.next().await, Item::End);
}

#[tokio::test]
async fn a_place_is_freed_however_a_stream_ends() {
    let world = world(1, 100).await;
    let token = world.reader();
    let ways: [fn(Open); 3] = [
        |open| drop(open.events),
        |open| drop(open.feed),
        |open| open.feed.break_off(),
    ];
    for end in ways {
        let mut feeds = world.upstream.streams("text/event-stream");
        let held = open(&mut feeds, listen(&world, &token)).await;
        assert_eq!(listen(&world, &token).send().await.status, 429);
        world.upstream.script(no_streams);
        end(held);
        eventually("there is a free place", async || {
            listen(&world, &token).send().await.status == 405
        })
        .await;
    }
}

#[tokio::test]
async fn a_stream_that_its_client_resets_frees_its_place() {
    let setting =
        Secure::with(|config| config.set("/limits/listening_streams_per_principal", 1)).await;
    let http = setting.http(false);
    let listen = || {
        let call = Call::new(&http, Method::GET, setting.gateway.uri("/mcp"));
        let call = call.token(&setting.token());
        call.with("accept", "text/event-stream")
    };
    let mut feeds = setting.upstream.streams("text/event-stream");
    let held = open(&mut feeds, listen()).await;
    assert_eq!(listen().send().await.status, 429);
    setting.upstream.script(no_streams);
    drop(held.events);
    eventually("there is a free place", async || {
        listen().send().await.status == 405
    })
    .await;
    // A reset before the answer frees the place too.
    setting.upstream.script(|_| Answer::Hang);
    let hits = setting.upstream.hits();
    let mut waiting = tokio::spawn(listen().open());
    while setting.upstream.hits() == hits {
        // The place of the earlier answer can still be taken for a short time.
        if waiting.is_finished() {
            waiting = tokio::spawn(listen().open());
        }
        tokio::task::yield_now().await;
    }
    waiting.abort();
    setting.upstream.script(no_streams);
    eventually("there is a free place", async || {
        listen().send().await.status == 405
    })
    .await;
}

#[tokio::test]
async fn the_listening_streams_of_all_principals_are_limited() {
    let world = world(16, 2).await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let mut held = Vec::new();
    for subject in ["one", "two"] {
        let token = world.token().subject(subject).sign();
        held.push(open(&mut feeds, listen(&world, &token)).await);
    }
    let third = world.token().subject("three").sign();
    for way in ways(&world, &third) {
        let reply = world.refusal(way, 503, "streams_exhausted").await.unwrap();
        assert_eq!(reply.headers["retry-after"], "5");
    }
    world.upstream.script(upstream::echo);
    let call = world.gateway.post(request(1, "ping", json!({})));
    world.acceptance(call.token(&third)).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_the_upstream_refuses_takes_no_place() {
    let world = world(1, 1).await;
    world.upstream.script(no_streams);
    for _ in 0..5 {
        assert_eq!(listen(&world, &world.reader()).send().await.status, 405);
    }
}
