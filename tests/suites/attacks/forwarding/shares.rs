//! Numbers 176, 177 and 184: what all callers share has a share for each of them.

use std::time::Duration;

use e2e::client::raw::Raw;
use e2e::client::sse::Events;
use e2e::client::{Call, Reply, initialize, request, tool};
use e2e::eventually;
use e2e::upstream::{Answer, Feed, Feeds, Recorded, echo};
use e2e::world::World;
use e2e::world::secure::Secure;
use serde_json::json;
use tokio::task::JoinSet;

const CALLS: &str = "mcp_gateway_calls_in_flight";
const BODY_BYTES: &str = "mcp_gateway_body_bytes";

/// Never answers a call of `slow`, and everything else as usual.
fn hanging(request: &Recorded) -> Answer {
    match request.json()["params"]["name"] == json!("slow") {
        true => Answer::Hang,
        false => echo(request),
    }
}

/// Connections and calls of each, as reported.
const CONNECTIONS: usize = 10;
const CALLS_EACH: usize = 100;

/// What `ulimit -n 1024` leaves for the calls of one principal: a quarter of all.
const OWN_CALLS: usize = 50;

#[tokio::test]
async fn attack_176_slow_calls_of_one_principal_leave_descriptors_for_others() {
    let setting = Secure::with_files(1024, |config| config).await;
    setting.upstream.script(hanging);
    let other = setting.unsigned_token().subject("other").sign();
    let kept = setting.http(true);
    let call = |http: &reqwest::Client| {
        Call::post(http, setting.gateway.uri("/mcp"), tool(1, "fast")).token(&other)
    };
    assert_eq!(call(&kept).send().await.status, 200);

    // A client learns with its first call that calls can share its connection.
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| setting.http(false)).collect();
    for http in &connections {
        let first = setting.post(http, tool(1, "fast")).send().await;
        assert_eq!(first.status, 200);
    }
    let mut attack = JoinSet::new();
    for _ in 0..CALLS_EACH {
        for http in &connections {
            attack.spawn(setting.post(http, tool(1, "slow")).send());
        }
    }
    for _ in OWN_CALLS..CONNECTIONS * CALLS_EACH {
        let refused: Reply = attack.join_next().await.unwrap().unwrap();
        assert_eq!((refused.status, refused.rpc_code()), (429, Some(429)));
        assert_eq!(refused.header("retry-after"), "5");
    }
    let metrics = setting.gateway.metrics().await;
    assert_eq!(metrics.sum(CALLS, &[]), OWN_CALLS as f64);
    assert_eq!(
        setting.gateway.refusals("too_many_calls").await,
        (CONNECTIONS * CALLS_EACH - OWN_CALLS) as f64
    );
    for page in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(setting.gateway.admin(page).await.status, 200, "{page}");
    }
    assert_eq!(call(&kept).send().await.status, 200, "a kept connection");
    for _ in 0..20 {
        assert_eq!(call(&setting.http(true)).send().await.status, 200);
        assert_eq!(call(&setting.http(false)).send().await.status, 200);
    }
    assert_eq!(attack.len(), OWN_CALLS, "all others are still waiting");
    attack.shutdown().await;
    eventually("its calls have ended", async || {
        setting.gateway.metrics().await.sum(CALLS, &[]) == 0.0
    })
    .await;
    endless_answers_count_as_calls().await;
}

/// An answer that does not end, from both sides.
struct Endless {
    feed: Feed,
    events: Events,
}

async fn endless(feeds: &mut Feeds, call: Call) -> Endless {
    let answer = tokio::spawn(call.open());
    let feed = feeds.next().await;
    feed.event("x");
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut events = Events::new(answer);
    assert_eq!(events.data().await, "x");
    Endless { feed, events }
}

async fn endless_answers_count_as_calls() {
    let world = World::with(|config| {
        config
            .set("/limits/calls_per_principal", 2)
            .set("/limits/calls", 3)
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let tokens = ["a", "b", "c"].map(|subject| world.token().subject(subject).sign());
    let call = |of: usize| world.gateway.post(tool(1, "x")).token(&tokens[of]);
    let mut held = vec![
        endless(&mut feeds, call(0)).await,
        endless(&mut feeds, call(0)).await,
    ];
    let own = world.refusal(call(0), 429, "too_many_calls").await.unwrap();
    assert_eq!(own.header("retry-after"), "5");
    held.push(endless(&mut feeds, call(1)).await);
    let all = world.refusal(call(2), 503, "calls_exhausted").await;
    assert_eq!(all.unwrap().header("retry-after"), "5");
    // However an answer ends, its place is free again.
    let ends: [(usize, fn(Endless)); 3] = [
        (0, |open| drop(open.events)),
        (0, |open| drop(open.feed)),
        (1, |open| open.feed.break_off()),
    ];
    for (whose, end) in ends {
        end(held.remove(0));
        eventually("a place is free", async || {
            world.gateway.metrics().await.sum(CALLS, &[]) == 2.0
        })
        .await;
        held.push(endless(&mut feeds, call(2)).await);
        drop(held.pop());
        eventually("it is free again", async || {
            world.gateway.metrics().await.sum(CALLS, &[]) == 2.0
        })
        .await;
        held.push(endless(&mut feeds, call(whose)).await);
    }
}

/// The largest body, and four times and eight times as much for one subject and one address.
const LARGEST: usize = 64 << 10;

/// Sends a body of the largest size but its last byte.
async fn stall(world: &World, mut connection: Raw, token: &str) -> Raw {
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {LARGEST}\r\n\r\n",
        world.gateway.config.public
    );
    connection.send(head).await;
    connection.send(" ".repeat(LARGEST - 1)).await;
    connection
}

/// Stalls a body that is held.
async fn hold(world: &World, connection: Raw, token: &str) -> Raw {
    let before = world.gateway.metrics().await.sum(BODY_BYTES, &[]);
    let connection = stall(world, connection, token).await;
    eventually("the body is held", async || {
        let now = world.gateway.metrics().await.sum(BODY_BYTES, &[]);
        now == before + (LARGEST - 1) as f64
    })
    .await;
    connection
}

#[tokio::test]
async fn attack_177_bodies_that_stop_short_take_a_share_and_no_more() {
    let world = World::with(|config| {
        config
            .set("/limits/body_bytes", "64KiB")
            .set("/limits/bodies_bytes", "1MiB")
            .set("/timeouts/body_idle", "60s")
    })
    .await;
    let of = |subject: &str| world.token().subject(subject).sign();
    let [one, second, third] = ["one", "second", "third"].map(of);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(hold(&world, world.gateway.raw().await, &one).await);
    }
    let mut beyond = Vec::new();
    for _ in 4..33 {
        beyond.push(stall(&world, world.gateway.raw().await, &one).await);
    }
    for _ in 0..18 {
        let ping = world.gateway.post(request(1, "ping", json!({})));
        let reply = ping.token(&second).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    for connection in &mut beyond {
        let refused = connection.reply().await.expect("an answer");
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (429, "5"),
            "{}",
            refused.text()
        );
    }
    let counted = world.gateway.counted("principal_bodies_too_large", 29.0);
    assert_eq!(counted.await, 29.0);

    // Another subject has its share too, and the address has one for both, though it is a loopback address.
    for _ in 0..4 {
        held.push(hold(&world, world.gateway.raw().await, &second).await);
    }
    let mut refused = stall(&world, world.gateway.raw().await, &third).await;
    assert_eq!(refused.reply().await.expect("an answer").status, 429);
    let counted = world.gateway.counted("address_bodies_too_large", 1.0);
    assert_eq!(counted.await, 1.0);
    // Who sends a body at once is served from there, and the rest is for other addresses.
    let ping = world.gateway.post(request(1, "ping", json!({})));
    assert_eq!(ping.token(&third).send().await.status, 200);
    let elsewhere = Raw::connect_from("127.0.0.2", world.gateway.config.public).await;
    held.push(hold(&world, elsewhere, &third).await);
    drop(held);
    eventually("the shares are free again", async || {
        world.gateway.metrics().await.sum(BODY_BYTES, &[]) == 0.0
    })
    .await;
    bodies_of_unknown_callers_take_nothing(&world).await;
}

/// Without a valid token, nothing of a body is stored.
async fn bodies_of_unknown_callers_take_nothing(world: &World) {
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(stall(world, world.gateway.raw().await, "bad").await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let bytes = world.gateway.metrics().await.sum(BODY_BYTES, &[]);
    assert_eq!(bytes, 0.0);
}

#[tokio::test]
async fn attack_184_a_subject_has_one_share_whatever_its_clients() {
    let world = World::with(|config| {
        config
            .set("/limits/calls_per_principal", 2)
            .set("/limits/listening_streams_per_principal", 2)
            .set("/limits/initializations_per_principal", 3)
            .set("/limits/body_bytes", "64KiB")
            .set("/limits/bodies_bytes", "1MiB")
            .set(
                "/resources/0/rate_limits",
                json!([
                    { "per": "principal", "calls": 1, "within": "1h", "method": "prompts/list" },
                    { "per": "subject", "calls": 2, "within": "1h", "method": "resources/list" },
                ]),
            )
    })
    .await;
    let of = |subject: &str, client: &str| {
        let token = world.token().subject(subject).claim("client_id", client);
        token.sign()
    };
    let clients = ["a", "b", "c", "d", "e"].map(|client| of("one", client));
    let other = of("other", "a");

    // Calls and listening streams.
    let mut feeds = world.upstream.streams("text/event-stream");
    let call = |token: &str| world.gateway.post(tool(1, "x")).token(token);
    let listen = |token: &str| {
        let call = world.gateway.get("/mcp").token(token);
        call.with("accept", "text/event-stream")
    };
    let mut held = Vec::new();
    for token in &clients[..2] {
        held.push(endless(&mut feeds, call(token)).await);
        held.push(endless(&mut feeds, listen(token)).await);
    }
    for token in &clients[2..] {
        let refused = world.refusal(call(token), 429, "too_many_calls").await;
        refused.unwrap();
        let refused = world.refusal(listen(token), 429, "too_many_streams").await;
        refused.unwrap();
    }
    held.push(endless(&mut feeds, call(&other)).await);
    held.push(endless(&mut feeds, listen(&other)).await);
    drop(held);
    world.upstream.script(echo);
    eventually("the calls have ended", async || {
        world.gateway.metrics().await.sum(CALLS, &[]) == 0.0
    })
    .await;

    // Sessions and rate limits: each row is a call, and how many of five clients may make it.
    for (body, served) in [
        (initialize(), 3),
        (request(1, "prompts/list", json!({})), 5),
        (request(1, "resources/list", json!({})), 2),
    ] {
        for (number, token) in clients.iter().enumerate() {
            let reply = world.gateway.post(body.clone()).token(token).send().await;
            let expected = if number < served { 200 } else { 429 };
            assert_eq!(reply.status, expected, "{body}: client {number}");
        }
        let reply = world.gateway.post(body.clone()).token(&other).send().await;
        assert_eq!(reply.status, 200, "{body}: another subject");
    }

    // Bodies.
    let mut held = Vec::new();
    for token in &clients[..4] {
        held.push(hold(&world, world.gateway.raw().await, token).await);
    }
    let mut refused = stall(&world, world.gateway.raw().await, &clients[4]).await;
    assert_eq!(refused.reply().await.expect("an answer").status, 429);
    let counted = world.gateway.counted("principal_bodies_too_large", 1.0);
    assert_eq!(counted.await, 1.0);
}
