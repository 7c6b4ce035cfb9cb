//! A session of protocol version 2025-11-25, as clients of the legacy era have it.

use serde_json::{Value, json};

use crate::client::{Call, LEGACY, Reply, initialize, notification, request};
use crate::gateway::Gateway;

/// An open session.
pub struct Session<'a> {
    gateway: &'a Gateway,
    id: String,
    sends_version: bool,
}

impl<'a> Session<'a> {
    /// Opens one with this token. Not every client sends the header `MCP-Protocol-Version` afterwards.
    pub async fn open(gateway: &'a Gateway, token: &str, sends_version: bool) -> Self {
        let opened = gateway.post(initialize()).token(token).send().await;
        assert_eq!(opened.status, 200, "{}", opened.text());
        let id = opened.header("mcp-session-id").to_owned();
        let session = Self {
            gateway,
            id,
            sends_version,
        };
        let accepted = session
            .send(token, notification("notifications/initialized"))
            .await;
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        session
    }

    /// The names of all tools.
    pub async fn tools(&self, token: &str) -> Vec<String> {
        let reply = self.send(token, request(2, "tools/list", json!({}))).await;
        let tools = result(&reply)["tools"].as_array().cloned();
        let tools = tools.unwrap_or_else(|| panic!("{}", reply.text()));
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Who the MCP server says that the caller is.
    pub async fn subject(&self, token: &str) -> String {
        let reply = self.echo(token).await;
        let subject = &result(&reply)["structuredContent"]["subject"];
        subject
            .as_str()
            .unwrap_or_else(|| panic!("{}", reply.text()))
            .to_owned()
    }

    /// The answer to a call of `secure_echo`.
    pub async fn echo(&self, token: &str) -> Reply {
        let call = json!({ "name": "secure_echo", "arguments": { "message": "hello" } });
        self.send(token, request(3, "tools/call", call)).await
    }

    async fn send(&self, token: &str, message: String) -> Reply {
        let mut call: Call = self.gateway.post(message).token(token);
        if !self.id.is_empty() {
            call = call.with("mcp-session-id", &self.id);
        }
        if self.sends_version {
            call = call.with("mcp-protocol-version", LEGACY);
        }
        call.send().await
    }
}

/// The result in an answer, which is JSON or the last event of a stream.
fn result(reply: &Reply) -> Value {
    let text = reply.text();
    assert_eq!(reply.status, 200, "{text}");
    let mut events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let message = events.rfind(|event| !event.trim().is_empty());
    let message = message.unwrap_or(&text);
    let message: Value = serde_json::from_str(message).unwrap_or_else(|_| panic!("{text}"));
    message["result"].clone()
}
