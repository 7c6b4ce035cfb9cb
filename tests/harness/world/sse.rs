//! The common case with an MCP server of HTTP+SSE (MCP 2024-11-05): the event stream is at `/mcp`, messages at `/mcp/message`.

use serde_json::{Value, json};

use crate::client::sse::Events;
use crate::client::{Call, Reply};
use crate::gateway::config::Config;
use crate::upstream::{Feed, Feeds};
use crate::world::World;

/// The event stream of a client, from both sides, and where its messages go.
pub struct Stream {
    /// What the client reads.
    pub events: Events,
    /// What the server writes.
    pub feed: Feed,
    /// The path and query that the gateway named.
    pub location: String,
}

impl World {
    /// The common case with HTTP+SSE and changes to the configuration.
    pub async fn of_sse(change: impl FnOnce(Config) -> Config) -> Self {
        Self::with(|config| {
            let upstream = json!({ "url": config.upstream(), "transport": "sse" });
            change(config.set("/resources/0/upstream", upstream))
        })
        .await
    }

    /// The same with a tool that is denied and hidden.
    pub async fn of_sse_hiding(tool: &str) -> Self {
        let rules = json!([{ "method": "tools/call", "name": tool, "deny": "no" }]);
        Self::of_sse(|config| {
            config
                .set("/resources/0/policy/rules", rules)
                .set("/resources/0/policy/hide", "denied")
        })
        .await
    }

    /// The request for an event stream.
    pub fn listen(&self, token: &str) -> Call {
        let call = self.gateway.get("/mcp").token(token);
        call.with("accept", "text/event-stream")
    }

    /// Opens an event stream at a server that `feeds` come from.
    pub async fn open_sse(&self, feeds: &mut Feeds, token: &str) -> Stream {
        let answer = tokio::spawn(self.listen(token).open());
        let feed = feeds.next().await;
        let mut events = Events::new(answer.await.expect("an answer"));
        let location = events.data().await;
        assert!(location.starts_with("/mcp/message?session="), "{location}");
        Stream {
            events,
            feed,
            location,
        }
    }
}

impl Stream {
    /// A message of this session.
    pub fn message(&self, world: &World, token: &str, body: String) -> Call {
        world.gateway.post_to(&self.location, body).token(token)
    }

    /// Sends a request, which must be accepted, and returns the answer that comes on the stream.
    pub async fn ask(&mut self, world: &World, token: &str, body: String) -> Value {
        let reply: Reply = self.message(world, token, body).send().await;
        assert_eq!((reply.status, reply.text()), (202, String::new()));
        serde_json::from_str(&self.events.data().await).expect("JSON")
    }
}
