//! Open streams whose token only its issuer can read: they go on while it says yes, also through reloads, and end when it says no.

use std::time::Duration;

use e2e::client::sse::{Events, Item};
use e2e::client::{Call, request, tool};
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, resource};
use e2e::issuer::introspection::Introspection;
use e2e::upstream::{Feed, Feeds, Upstream};
use e2e::{SOON, eventually, leaks};
use serde_json::{Value, json};
use test_support::Key;

/// How often the issuer is asked about open streams.
const RECHECK: &str = "1s";

/// Within which a stream ends after its token is revoked: `recheck` and five seconds.
const ENDS: Duration = Duration::from_secs(6);

/// How a stream is opened with a token.
type Way = fn(&Gateway, &str) -> Call;

/// An open stream, from both sides, with its token.
struct Open {
    name: &'static str,
    token: String,
    feed: Feed,
    events: Events,
}

impl Open {
    async fn by(name: &'static str, token: &str, call: Call, feeds: &mut Feeds) -> Self {
        let answer = tokio::spawn(call.open());
        let feed = feeds.next().await;
        feed.event("first");
        let mut open = Self {
            name,
            token: token.to_owned(),
            feed,
            events: Events::new(answer.await.unwrap()),
        };
        assert_eq!(open.events.data().await, "first", "{name}");
        open
    }

    /// It is still the same stream.
    async fn goes_on(&mut self) {
        self.feed.event("later");
        assert_eq!(self.events.data().await, "later", "{}", self.name);
    }

    /// Comes to its end, on both sides.
    async fn ends(mut self) {
        let end = self.events.next_within(ENDS).await;
        // The answer to a call has no end of its own before its last event.
        assert!(
            matches!(end, Some(Item::End | Item::Broken)),
            "{}: {end:?}",
            self.name
        );
        self.feed.gone(SOON).await;
    }
}

fn listen(gateway: &Gateway, token: &str) -> Call {
    let call = gateway.get("/mcp").token(token);
    call.with("accept", "text/event-stream")
}

fn subscribe(gateway: &Gateway, token: &str) -> Call {
    let params = json!({ "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } });
    let body = request(1, "subscriptions/listen", params);
    let call = gateway.post(body).token(token);
    call.modern("subscriptions/listen", None)
}

fn call(gateway: &Gateway, token: &str) -> Call {
    gateway.post(tool(1, "list_tasks")).token(token)
}

/// Changes the configuration of the running gateway.
async fn reload(gateway: &mut Gateway, pointer: &str, value: impl Into<Value>) {
    let accepted = async |gateway: &Gateway| {
        let metrics = gateway.metrics().await;
        metrics.sum(
            "mcp_gateway_config_reloads_total",
            &[("result", "accepted")],
        )
    };
    let before = accepted(gateway).await;
    gateway.config = gateway.config.clone().set(pointer, value);
    gateway.config.file();
    eventually("the reload", async || accepted(gateway).await > before).await;
}

/// How often the issuer was asked about a token.
fn asked_about(issuer: &Introspection, token: &str) -> usize {
    let asked = issuer.asked();
    let about = asked.iter().filter(|asked| asked.body.contains(token));
    about.count()
}

/// Waits until the issuer was asked about each stream again, which then goes on.
async fn go_on(issuer: &Introspection, streams: &mut [Open]) {
    for stream in streams {
        let before = asked_about(issuer, &stream.token);
        eventually("the issuer is asked again", async || {
            asked_about(issuer, &stream.token) >= before + 2
        })
        .await;
        stream.goes_on().await;
    }
}

#[tokio::test]
async fn a_stream_lives_as_long_as_its_issuer_says_yes_through_reloads() {
    let (upstream, issuer) = (Upstream::start().await, Introspection::start().await);
    let introspection = json!({ "client_auth": "none", "recheck": RECHECK });
    let asked = json!({ "issuer": issuer.identifier(), "introspection": introspection });
    let config = Config::new(&upstream.url(), &[&Key::es256("unused")])
        .set("/issuers/opaque", asked)
        .set("/resources/0/issuers", json!(["opaque"]));
    let mut gateway = Gateway::start(config).await;
    let mut feeds = upstream.streams("text/event-stream");
    let ways: [(&str, Way); 3] = [
        ("GET", listen),
        ("subscriptions/listen", subscribe),
        ("a call", call),
    ];
    let mut streams = Vec::new();
    for (number, (name, way)) in ways.into_iter().enumerate() {
        let token = leaks::secret(&format!("opaque-of-stream-{number}"));
        issuer.issues(&token, &gateway.uri("/mcp"));
        let call = way(&gateway, &token);
        streams.push(Open::by(name, &token, call, &mut feeds).await);
    }
    go_on(&issuer, &mut streams).await;

    // Another resource changes nothing for these streams; another time for answers makes the issuer one that was never asked.
    let other = resource("/other", &upstream.url(), &["opaque"]);
    reload(&mut gateway, "/resources/1", other).await;
    go_on(&issuer, &mut streams).await;
    let negative_cache = "/issuers/opaque/introspection/negative_cache";
    reload(&mut gateway, negative_cache, "5s").await;
    go_on(&issuer, &mut streams).await;

    // Each ends when its own token is revoked; those that are left go on.
    while let Some(stream) = streams.pop() {
        issuer.revokes(&stream.token);
        stream.ends().await;
        go_on(&issuer, &mut streams).await;
    }
}
