//! The MCP server dies in the middle of an answer, again and again: the client sees each time that the answer is not whole,
//! other streams are not affected, and the next call works as soon as the server is back.

use e2e::client::sse::{Events, Item};
use e2e::client::tool;
use e2e::gateway::Gateway;
use e2e::gateway::config::{Config, ISSUER, resource};
use e2e::upstream::{Upstream, echo};
use serde_json::json;
use test_support::{Key, Token};

use crate::Figures;
use crate::scale::Scale;

const ROUNDS: usize = 100;

pub async fn run(_: Scale) -> Figures {
    let key = Key::es256("first");
    let (mut dying, living) = (Upstream::start().await, Upstream::start().await);
    let resources = json!([
        resource("/dying", &dying.url(), &["corporate"]),
        resource("/living", &living.url(), &["corporate"]),
    ]);
    let config = Config::new(&dying.url(), &[&key]).set("/resources", resources);
    let gateway = Gateway::start(config).await;
    let token = |path: &str| Token::new(&key, ISSUER, &gateway.uri(path)).sign();

    let mut others = living.streams("text/event-stream");
    let other = gateway
        .post_to("/living", tool(1, "watch"))
        .token(&token("/living"));
    let other = tokio::spawn(other.open());
    let beat = others.next().await;
    let mut other = Events::new(other.await.expect("a stream"));

    for round in 0..ROUNDS {
        let mut feeds = dying.streams("text/event-stream");
        let answer = gateway
            .post_to("/dying", tool(1, "watch"))
            .token(&token("/dying"));
        let answer = tokio::spawn(answer.open());
        // Held: dropping it would end the answer well.
        let feed = feeds.next().await;
        feed.event("first");
        let mut events = Events::new(answer.await.expect("a stream"));
        assert_eq!(events.data().await, "first");
        dying.stop();
        assert_eq!(events.next().await, Item::Broken, "round {round}");

        beat.event(&round.to_string());
        assert_eq!(other.data().await, round.to_string());

        dying.resume().await;
        dying.script(echo);
        let again = gateway
            .post_to("/dying", tool(2, "list"))
            .token(&token("/dying"));
        assert_eq!(again.send().await.status, 200, "round {round}");
    }
    format!(
        "{ROUNDS} of {ROUNDS} broken answers detected, 0 events of another stream lost, next call served each time"
    )
}
