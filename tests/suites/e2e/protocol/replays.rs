//! What real clients send, byte for byte (`tests/corpus/clients`), on raw connections: each gets the right answer, and the upstream
//! the message as it was sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use e2e::client::raw::{RawReply, once};
use e2e::gateway::Gateway;
use e2e::upstream::sessions;
use e2e::world::World;
use serde::Deserialize;
use serde_json::Value;

/// What a client sends in one session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    exchanges: Vec<Exchange>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    /// The gateway restarts before, without session keys: the session is gone.
    #[serde(default)]
    restart: bool,
    /// The request line and the fields.
    head: String,
    #[serde(default)]
    body: String,
    status: u16,
    /// Fields that the upstream receives.
    #[serde(default)]
    forwarded: BTreeMap<String, String>,
    /// Fields that it does not.
    #[serde(default)]
    removed: Vec<String>,
    /// The code and the id of a JSON-RPC error.
    code: Option<i64>,
    id: Option<Value>,
}

impl Exchange {
    /// The request as the client writes it.
    fn bytes(&self, world: &World, session: &str) -> String {
        let head = self
            .head
            .replace('\n', "\r\n")
            .replace("⟨host⟩", &world.gateway.config.public.to_string())
            .replace("⟨token⟩", &world.reader())
            .replace("⟨session⟩", session)
            .replace("⟨length⟩", &self.body.len().to_string());
        format!("{head}\r\n\r\n{}", self.body)
    }

    fn check(&self, world: &World, before: usize, reply: &RawReply) -> Result<(), String> {
        if reply.status != self.status {
            return Err(format!("{} {}", reply.status, reply.text()));
        }
        let passed = world.upstream.hits() - before;
        if let Some(code) = self.code {
            let body: Value = serde_json::from_str(&reply.text()).map_err(|e| e.to_string())?;
            let is_right = body["error"]["code"] == code && Some(&body["id"]) == self.id.as_ref();
            return match is_right && passed == 0 {
                true => Ok(()),
                false => Err(reply.text()),
            };
        }
        let seen = world.upstream.last();
        if passed != 1 || seen.body != self.body.as_bytes() {
            return Err(format!("{passed} passed, {seen:?}"));
        }
        let differs = self
            .forwarded
            .iter()
            .find(|(name, value)| seen.header(name) != Some(value.as_str()));
        let stays = self.removed.iter().find(|name| seen.header(name).is_some());
        match (differs, stays) {
            (None, None) => Ok(()),
            wrong => Err(format!("{wrong:?}: {seen:?}")),
        }
    }
}

async fn restarted(mut world: World) -> World {
    world.gateway.stop().await;
    let config = world.gateway.config.clone();
    world.gateway = Gateway::start(config).await;
    world
}

async fn replay(case: &Case) {
    let mut world = World::start().await;
    world.upstream.script(sessions());
    let mut session = String::new();
    for (number, exchange) in case.exchanges.iter().enumerate() {
        if exchange.restart {
            world = restarted(world).await;
        }
        let before = world.upstream.hits();
        let bytes = exchange.bytes(&world, &session);
        let reply = once(world.gateway.config.public, bytes).await;
        let reply = reply.unwrap_or_else(|| panic!("{}, {number}: no answer", case.name));
        let checked = exchange.check(&world, before, &reply);
        checked.unwrap_or_else(|problem| panic!("{}, {number}: {problem}", case.name));
        if session.is_empty() {
            reply.header("mcp-session-id").clone_into(&mut session);
        }
    }
    assert!(!session.is_empty(), "{}: no session", case.name);
}

async fn replay_all(file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/clients");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let cases: Vec<Case> = serde_yaml::from_str(&text).unwrap();
    assert!(!cases.is_empty(), "{file}");
    for case in cases {
        replay(&case).await;
    }
}

#[tokio::test]
async fn what_zed_sends_is_served() {
    replay_all("zed.yaml").await;
}

#[tokio::test]
async fn what_claude_code_sends_is_served() {
    replay_all("claude_code.yaml").await;
}

#[tokio::test]
async fn what_the_java_sdk_sends_is_served() {
    replay_all("java.yaml").await;
}

#[tokio::test]
async fn a_protocol_version_that_claude_code_gives_twice_is_one() {
    replay_all("claude_code_copies.yaml").await;
}

#[tokio::test]
async fn the_offer_of_http_2_by_the_jdk_is_ignored() {
    replay_all("java_upgrade.yaml").await;
}
