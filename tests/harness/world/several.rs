//! Several recording upstreams behind one resource.

use serde_json::{Value, json};

use crate::client::{Call, initialize, request, tool};
use crate::eventually;
use crate::gateway::Gateway;
use crate::gateway::config::{Config, ISSUER};
use crate::upstream::Upstream;
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
        let list = request(2, "tools/list", json!({}));
        self.gateway.post(list).token(&self.token())
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
        const RELOADS: &str = "mcp_gateway_config_reloads_total";
        let accepted = [("result", "accepted")];
        let before = self.metric(RELOADS, &accepted).await;
        self.gateway.config = self.gateway.config.clone().set(pointer, value);
        self.gateway.config.file();
        eventually("the reload", async || {
            self.metric(RELOADS, &accepted).await > before
        })
        .await;
    }
}
