//! Whether the messages of an open event stream of HTTP+SSE still have where to go.
//!
//! All answers come on the stream, so without messages it is of no use: its client would wait for ever. It ends where the resource is not of HTTP+SSE any more,
//! where the endpoint that has the stream was removed, and where the key was removed with which the URI of the messages is sealed. Then the client connects again.

use std::{fmt, future::pending};

use mcp_gateway_core::{
    endpoint_id::EndpointId,
    http_sse::message_path,
    seal::{SealedForm, Sealer},
};
use tokio::sync::watch;

use crate::upstream::EndpointSet;

/// Why messages of a stream go nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nowhere {
    /// The resource is of Streamable HTTP now.
    Transport,
    /// The endpoint that has the stream was removed.
    Endpoint,
    /// The key was removed with which their URI is sealed.
    Key,
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport => {
                "the resource is not of HTTP+SSE any more (resources.upstream.transport)"
            }
            Self::Endpoint => "the endpoint of its messages was removed (resources.upstream)",
            Self::Key => {
                "the key was removed that opens the session of its messages (sessions.key_files)"
            }
        })
    }
}

/// Where the messages of a stream go.
pub(crate) struct MessageStanding {
    /// The endpoint that has the stream.
    endpoint: EndpointId,
    /// The path and query that the client was given.
    location: Box<str>,
    /// Notified when endpoints of the resource were added or removed.
    replaced: watch::Receiver<()>,
}

impl MessageStanding {
    /// Messages that a client sends to `location`, and the gateway to this endpoint of `set`.
    pub(crate) fn new(set: &EndpointSet, endpoint: EndpointId, location: String) -> Self {
        Self {
            endpoint,
            location: location.into(),
            replaced: set.replaced(),
        }
    }

    /// Waits until endpoints were added or removed.
    pub(super) async fn replaced(&mut self) {
        match self.replaced.changed().await {
            Ok(()) => self.replaced.mark_changed(),
            Err(_) => pending().await,
        }
    }

    /// Whether the endpoint is still in use, if that may have changed.
    pub(super) fn judge(&mut self, set: &EndpointSet) -> Result<(), Nowhere> {
        if !self.replaced.has_changed().unwrap_or(false) {
            return Ok(());
        }
        self.replaced.mark_unchanged();
        self.judge_endpoint(set)
    }

    /// Whether messages are opened and forwarded with these keys, by the endpoints of this set.
    pub(super) fn follow(&mut self, sealer: &Sealer, set: &EndpointSet) -> Result<(), Nowhere> {
        let query = self.location.split_once('?').map(|(_, query)| query);
        let form = message_path::sealed(query).map(|sealed| sealer.form_of(sealed));
        if form != Some(SealedForm::Own) {
            return Err(Nowhere::Key);
        }
        self.replaced = set.replaced();
        self.judge_endpoint(set)
    }

    fn judge_endpoint(&self, set: &EndpointSet) -> Result<(), Nowhere> {
        match set.has_removed(self.endpoint) {
            true => Err(Nowhere::Endpoint),
            false => Ok(()),
        }
    }
}
