//! Several recording upstreams behind one resource.

use serde_json::{Value, json};

use crate::client::sse::Events;
use crate::client::{Call, initialize, list, tool};
use crate::eventually;
use crate::gateway::Gateway;
use crate::gateway::config::{Config, ISSUER};
use crate::upstream::Upstream;
use crate::world::sse::Stream;
use test_support::{Key, Token};

/// The header of a session's id.
pub const SESSION: &str = "mcp-session-id";

/// A gateway and the instances of one MCP server. The gateway is dropped first.
pub struct Several {
    /// The gateway under test.
    pub gateway: Gateway,
    /// The instances.
    pub upstreams: Vec<Upstream>,
    key: Key,
}

impl Several {
    /// So many instances; `keys` are written beside `upstream.endpoints`.
    pub async fn start(count: usize, keys: Value) -> Self {
        let mut upstreams = Vec::new();
        for _ in 0..count {
            upstreams.push(Upstream::start().await);
        }
        let urls: Vec<_> = upstreams.iter().map(Upstream::url).collect();
        let key = Key::es256("first");
        let mut upstream = keys;
        upstream["endpoints"] = json!(urls);
        let config = Config::new("http://127.0.0.1:9/mcp", &[&key]);
        let config = config.set("/resources/0/upstream", upstream);
        Self {
            gateway: Gateway::start(config).await,
            upstreams,
            key,
        }
    }

    /// Two instances of HTTP+SSE, with an event stream at each one.
    pub async fn with_streams() -> (Self, [Stream; 2]) {
        let several = Self::start(2, json!({ "transport": "sse" })).await;
        let instances = several.upstreams.iter();
        let mut feeds: Vec<_> = instances.map(Upstream::http_sse).collect();
        let mut streams = [None, None];
        while streams.iter().any(Option::is_none) {
            let before = several.hits();
            let call = several.gateway.get("/mcp").token(&several.token());
            let answer = tokio::spawn(call.open());
            eventually("one instance is asked", async || several.hits() != before).await;
            let at = usize::from(several.hits()[0] == before[0]);
            let feed = feeds[at].next().await;
            let mut events = Events::new(answer.await.expect("an answer"));
            let location = events.data().await;
            streams[at] = Some(Stream {
                events,
                feed,
                location,
            });
        }
        (several, streams.map(|stream| stream.expect("one of each")))
    }

    /// A signed token with the scopes to read and write.
    pub fn token(&self) -> String {
        self.token_of("alice")
    }

    /// The same of another subject.
    pub fn token_of(&self, subject: &str) -> String {
        let token = Token::new(&self.key, ISSUER, &self.gateway.uri("/mcp"));
        let token = token.claim("sub", subject);
        token.scope("tasks:read tasks:write").sign()
    }

    /// A call that only reads.
    pub fn list(&self) -> Call {
        self.gateway.post(list(2)).token(&self.token())
    }

    /// A call that changes something.
    pub fn create(&self) -> Call {
        let create = tool(3, "create_task");
        self.gateway.post(create).token(&self.token())
    }

    /// Opens a session and returns its sealed id.
    pub async fn open(&self) -> String {
        let call = self.gateway.post(initialize()).token(&self.token());
        let reply = call.send().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.header(SESSION).to_owned()
    }

    /// How many requests each instance received.
    pub fn hits(&self) -> Vec<usize> {
        self.upstreams.iter().map(Upstream::hits).collect()
    }

    /// A metric of the resource.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.gateway.metrics().await.sum(name, labels)
    }

    /// Changes the configuration of the running gateway.
    pub async fn reload(&mut self, pointer: &str, value: impl Into<Value>) {
        self.gateway.reload(pointer, value).await;
    }
}
