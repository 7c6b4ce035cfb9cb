//! The complete common case: a recording upstream, a gateway in front of it, and tokens that fit.

pub mod decided;
pub mod refusal;
pub mod secure;
pub mod several;
pub mod sse;

use crate::SOON;
use crate::client::raw::RawReply;
use crate::client::{Call, Reply};
use crate::gateway::Gateway;
use crate::gateway::config::{Config, ISSUER};
use crate::upstream::Upstream;
use crate::world::refusal::Watch;
use test_support::{Key, Token};

/// Everything a simple test needs. The gateway is dropped first, so that the upstream has received everything.
pub struct World {
    /// The gateway under test.
    pub gateway: Gateway,
    /// The MCP server behind it.
    pub upstream: Upstream,
    /// The issuer's key.
    pub key: Key,
}

impl World {
    /// The common case as it is.
    pub async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// The common case with changes to the configuration.
    pub async fn with(change: impl FnOnce(Config) -> Config) -> Self {
        let key = Key::es256("first");
        Self::with_keys(&[&key], change).await
    }

    /// The common case with these keys, the first of which signs.
    pub async fn with_keys(keys: &[&Key], change: impl FnOnce(Config) -> Config) -> Self {
        let upstream = Upstream::start().await;
        let config = change(Config::new(&upstream.url(), keys));
        let gateway = Gateway::start(config).await;
        Self {
            gateway,
            upstream,
            key: keys[0].clone(),
        }
    }

    /// An unsigned token for `/mcp`.
    pub fn token(&self) -> Token {
        self.token_for("/mcp")
    }

    /// An unsigned token for the resource at `path`.
    pub fn token_for(&self, path: &str) -> Token {
        Token::new(&self.key, ISSUER, &self.gateway.uri(path))
    }

    /// A signed token with the scope to read.
    pub fn reader(&self) -> String {
        self.token().sign()
    }

    /// A signed token with the scopes to read and write.
    pub fn writer(&self) -> String {
        self.token().scope("tasks:read tasks:write").sign()
    }
}

impl World {
    /// Sends `call` and checks this refusal and everything a refusal must have ([`Watch`]).
    pub async fn refusal(&self, call: Call, status: u16, reason: &str) -> Result<Reply, String> {
        let watch = Watch::begin(&self.gateway, &self.upstream, reason).await;
        let reply = call.send().await;
        watch.check(&reply, status).await.map(|()| reply)
    }

    /// The same with exact bytes on a new connection, which closes after a request that could not be read.
    pub async fn raw_refusal(
        &self,
        bytes: impl AsRef<[u8]>,
        status: u16,
        reason: &str,
    ) -> Result<RawReply, String> {
        let watch = Watch::begin(&self.gateway, &self.upstream, reason).await;
        let mut connection = self.gateway.raw().await;
        connection.send(bytes).await;
        let raw = connection.reply().await.ok_or("closed without an answer")?;
        let reply = raw.to_reply();
        watch.check(&reply, status).await?;
        let is_unreadable = matches!(status, 400 | 431) && reply.challenge().is_empty();
        if is_unreadable && reply.rpc_code().is_none() && !connection.closes(SOON).await {
            return Err("the connection stays open".to_owned());
        }
        Ok(raw)
    }

    /// Sends `call` and checks that it is forwarded and answered with 200.
    pub async fn acceptance(&self, call: Call) -> Result<Reply, String> {
        let hits = self.upstream.hits();
        let reply = call.send().await;
        match (reply.status, self.upstream.hits() - hits) {
            (200, 1) => Ok(reply),
            (status, count) => Err(format!(
                "{status} after {count} at the upstream: {} {}",
                reply.challenge(),
                reply.text()
            )),
        }
    }

    /// The head of a good raw POST to `/mcp`, without framing and the final blank line.
    pub fn raw_head(&self) -> String {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n",
            self.gateway.config.public,
            self.reader()
        )
    }
}

/// The failures of a table, all reported at its end.
#[derive(Default)]
pub struct Table(Vec<String>);

impl Table {
    /// Notes the outcome of one row.
    pub fn row<T>(&mut self, name: &str, outcome: Result<T, String>) -> Option<T> {
        outcome
            .map_err(|problem| self.0.push(format!("{name}: {problem}")))
            .ok()
    }

    /// Notes a failure unless `holds`.
    pub fn check(&mut self, name: &str, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.0.push(format!("{name}: {}", problem()));
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.0.is_empty(),
                "{} rows fail:\n  {}",
                self.0.len(),
                self.0.join("\n  ")
            );
        }
    }
}
