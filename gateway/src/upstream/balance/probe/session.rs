//! A session of the gateway's own at a server of the legacy era. It is closed when it is dropped.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use mcp_gateway_core::mcp::{headers::SESSION_ID, version::LEGACY};
use serde_json::Value;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use super::message::Message;
use crate::upstream::endpoint::Endpoint;

/// How long closing a session may take.
const CLOSING_DEADLINE: Duration = Duration::from_secs(1);

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    /// None for a server without sessions.
    id: Option<HeaderValue>,
    /// The version that was agreed on, once it is known.
    version: Option<&'static str>,
    endpoint: Arc<Endpoint>,
    sessions: Sessions,
}

impl Session {
    /// What an answer with this head opened at `endpoint`.
    pub(super) fn new(head: &HeaderMap, endpoint: Arc<Endpoint>, sessions: Sessions) -> Self {
        Self {
            id: head.get(SESSION_ID).cloned(),
            version: None,
            endpoint,
            sessions,
        }
    }

    /// Remembers the version of the result of `initialize`.
    pub(super) fn agree_on(&mut self, result: &Value) {
        let version = result.get("protocolVersion").and_then(Value::as_str);
        let known = LEGACY.iter().find(|known| Some(**known) == version);
        self.version = known.copied();
    }

    /// The same message in this session.
    pub(super) fn with(&self, message: Message) -> Message {
        message
            .in_session(self.id.as_ref())
            .of_version(self.version)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (true, Ok(runtime)) = (self.id.is_some(), Handle::try_current()) else {
            return;
        };
        let delete = self.with(Message::delete());
        let (endpoint, sessions) = (self.endpoint.clone(), self.sessions.clone());
        runtime.spawn(async move {
            // A server that refuses this closes its sessions by itself.
            let _ = timeout(CLOSING_DEADLINE, delete.send(&endpoint)).await;
            drop(sessions);
        });
    }
}

/// The sessions that are open or may be opened: each holds a copy of this until it is closed.
#[derive(Clone, Debug)]
pub(crate) struct Sessions(#[expect(dead_code, reason = "held only")] mpsc::Sender<Infallible>);

/// The end of all of them.
pub(crate) struct SessionsEnd(mpsc::Receiver<Infallible>);

impl Sessions {
    /// No session yet, and the end of all that follow.
    pub(crate) fn new() -> (Self, SessionsEnd) {
        let (held, end) = mpsc::channel(1);
        (Self(held), SessionsEnd(end))
    }
}

impl SessionsEnd {
    /// Returns when no session is left, and none can be opened.
    pub(crate) async fn wait(mut self) {
        self.0.recv().await;
    }
}
