//! Number 182: a right is withdrawn while streams that only listen are open.

use std::time::Duration;

use e2e::SOON;
use e2e::client::sse::{Events, Item};
use e2e::client::{Call, request};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::issuer::Issuer;
use e2e::upstream::{Feed, Feeds, Upstream};
use e2e::world::World;
use serde_json::json;
use test_support::Key;
use tokio::time::timeout;

/// An open stream, from both sides.
struct Open {
    name: &'static str,
    feed: Feed,
    events: Events,
}

impl Open {
    async fn by(name: &'static str, call: Call, feeds: &mut Feeds) -> Self {
        let answer = tokio::spawn(call.open());
        let feed = feeds.next().await;
        feed.event("first");
        let mut open = Self {
            name,
            feed,
            events: Events::new(answer.await.unwrap()),
        };
        assert_eq!(open.events.data().await, "first", "{name}");
        open
    }

    /// It ends cleanly, on both sides.
    async fn ends(mut self) {
        assert_eq!(self.events.next().await, Item::End, "{}", self.name);
        self.feed.gone(SOON).await;
    }

    /// It is still the same stream.
    async fn goes_on(&mut self) {
        self.feed.event("later");
        assert_eq!(self.events.data().await, "later", "{}", self.name);
    }
}

fn get(world: &World, path: &str, token: &str) -> Call {
    let call = world.gateway.get(path).token(token);
    call.with("accept", "text/event-stream")
}

fn subscribe(world: &World, token: &str, uri: &str) -> Call {
    let params = json!({
        "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" },
        "notifications": { "resourceSubscriptions": [uri] },
    });
    let body = request(1, "subscriptions/listen", params);
    let call = world.gateway.post(body).token(token);
    call.modern("subscriptions/listen", None)
}

async fn ended_for(world: &World, why: &str) {
    let detail = format!("the stream was ended: {why}");
    world.gateway.logged(&detail).await;
}

#[tokio::test]
async fn attack_182_a_stream_ends_when_its_caller_loses_the_right_to_listen() {
    a_tightened_policy_ends_streams().await;
    a_tightened_trust_ends_streams().await;
    a_stream_that_never_pauses_ends_too().await;
    a_withdrawn_key_ends_streams(&[("/jwks/refresh", "1s")], false).await;
    a_withdrawn_key_ends_streams(&[], true).await;
}

async fn a_tightened_policy_ends_streams() {
    let mut world = World::with(|config| {
        let upstream = config.upstream();
        let other = resource("/other", &upstream, &["corporate"]);
        config.set("/resources/1", other)
    })
    .await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let (reader, writer) = (world.reader(), world.writer());
    let guest = world.token().claim("team", "guests").sign();
    let other = world.token_for("/other").sign();
    let mut open = async |name, call| Open::by(name, call, &mut feeds).await;
    let by_reader = open("reader", get(&world, "/mcp", &reader)).await;
    let mut by_writer = open("writer", get(&world, "/mcp", &writer)).await;
    let mut elsewhere = open("elsewhere", get(&world, "/other", &other)).await;
    let secret = open("secret", subscribe(&world, &writer, "tasks://secret/a")).await;
    let mut public = open("public", subscribe(&world, &writer, "tasks://open/a")).await;
    let by_guest = open("guest", subscribe(&world, &guest, "tasks://open/a")).await;

    world.gateway.reload("/resources/0/name", "Tasks").await;
    let mut by_reader = by_reader;
    let (mut secret, mut by_guest) = (secret, by_guest);
    for stream in [&mut by_reader, &mut secret, &mut by_guest] {
        stream.goes_on().await;
    }

    // The claim of this condition was not read before.
    let guests = json!([{ "method": "*", "condition": "has(claims.team) && claims.team == 'guests'", "deny": "no guests" }]);
    world
        .gateway
        .reload("/resources/0/policy/rules", guests)
        .await;
    by_guest.ends().await;
    ended_for(&world, "would be refused now: policy_denied").await;
    secret.goes_on().await;

    let secrets = json!([{ "method": "resources/read", "name": "tasks://secret/*", "deny": "no" }]);
    world
        .gateway
        .reload("/resources/0/policy/rules", secrets)
        .await;
    secret.ends().await;
    by_reader.goes_on().await;

    let required = json!(["tasks:read", "tasks:write"]);
    world
        .gateway
        .reload("/resources/0/scopes/required", required)
        .await;
    by_reader.ends().await;
    ended_for(&world, "would be refused now: insufficient_scope").await;
    for stream in [&mut by_writer, &mut public, &mut elsewhere] {
        stream.goes_on().await;
    }

    // Lists in its events would still be cut by the policy before.
    world
        .gateway
        .reload("/resources/0/policy/hide", "denied")
        .await;
    by_writer.ends().await;
    public.ends().await;
    elsewhere.goes_on().await;
}

async fn a_tightened_trust_ends_streams() {
    for (pointer, value, why) in [
        (
            "/resources/0/audience",
            json!(["https://another.example"]),
            "wrong_audience",
        ),
        (
            "/issuers/corporate/algorithms",
            json!(["EdDSA"]),
            "alg_not_allowed",
        ),
        (
            "/issuers/corporate/max_lifetime",
            json!("1s"),
            "lifetime_too_long",
        ),
    ] {
        let mut world = World::with(|config| {
            let upstream = config.upstream();
            config.set("/resources/0", resource("/mcp", &upstream, &["corporate"]))
        })
        .await;
        let mut feeds = world.upstream.streams("text/event-stream");
        let call = get(&world, "/mcp", &world.reader());
        let stream = Open::by(why, call, &mut feeds).await;
        world.gateway.reload(pointer, value).await;
        stream.ends().await;
        ended_for(&world, &format!("would be refused now: {why}")).await;
    }
}

async fn a_stream_that_never_pauses_ends_too() {
    let mut world = World::start().await;
    let mut feeds = world.upstream.streams("text/event-stream");
    let call = get(&world, "/mcp", &world.reader());
    let Open {
        feed, mut events, ..
    } = Open::by("flood", call, &mut feeds).await;
    let flood = tokio::spawn(async move {
        while !feed.is_gone() {
            (0..64).for_each(|_| feed.event("more"));
            tokio::task::yield_now().await;
        }
    });
    let read = tokio::spawn(async move {
        let mut last = events.next().await;
        while matches!(last, Item::Event(_)) {
            last = events.next().await;
        }
        last
    });
    let required = json!(["tasks:read", "tasks:write"]);
    world
        .gateway
        .reload("/resources/0/scopes/required", required)
        .await;
    assert_eq!(timeout(SOON, read).await.unwrap().unwrap(), Item::End);
    timeout(SOON, flood).await.unwrap().unwrap();
}

async fn a_withdrawn_key_ends_streams(settings: &[(&str, &str)], by_signal: bool) {
    let (issuer, second) = (Issuer::start().await, Key::es256("second"));
    issuer.publish(&[&issuer.key, &second]);
    let upstream = Upstream::start().await;
    let config = Config::discovering(&upstream, &issuer);
    let config = settings.iter().fold(config, |config, (pointer, value)| {
        config.set(pointer, *value)
    });
    let gateway = Gateway::start(config).await;
    let key = issuer.key.clone();
    let mut world = World {
        gateway,
        upstream,
        key,
    };
    let mut feeds = world.upstream.streams("text/event-stream");
    let token = |key: &Key| {
        let token = test_support::Token::new(key, &issuer.identifier(), &world.gateway.uri("/mcp"));
        token.sign()
    };
    let first = get(&world, "/mcp", &token(&issuer.key));
    let first = Open::by("first", first, &mut feeds).await;
    let other = get(&world, "/mcp", &token(&second));
    let mut other = Open::by("second", other, &mut feeds).await;
    // A fetch without a change, or none at all, ends nothing.
    if !by_signal {
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let mut first = first;
    first.goes_on().await;
    if by_signal {
        // Other settings: the keys in use are handed over to another object.
        world.gateway.reload("/jwks/stale", "2h").await;
        first.goes_on().await;
    }

    issuer.publish(&[&second]);
    if by_signal {
        world.gateway.process.signal("HUP");
    }
    first.ends().await;
    ended_for(&world, "would be refused now: unknown_key").await;
    other.goes_on().await;
}
