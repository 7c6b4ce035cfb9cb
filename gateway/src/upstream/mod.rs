//! The upstream of a resource: the endpoints of its MCP server.
//!
//! * [`endpoint`] is one instance of the server: its address and its connections;
//! * [`wire`] is the byte stream of a connection, [`connect`] opens one over TCP, TLS or a unix socket;
//! * [`link`] is a connection in use, driven by the request that uses it;
//! * [`pool`] holds idle connections between two requests;
//! * [`body`] is the body of an answer, which returns its connection to the pool;
//! * [`http2`] shares connections between requests, for upstreams that speak HTTP/2.

mod body;
mod connect;
mod endpoint;
mod error;
mod http2;
mod link;
mod pool;
#[cfg(test)]
pub(crate) mod test_server;
mod wire;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use mcp_gateway_core::endpoint_id::EndpointId;

use crate::config::{Timeouts, Upstream as Configured};
pub(crate) use body::UpstreamBody;
pub(crate) use endpoint::Endpoint;
pub(crate) use error::{SendError, UpstreamError};

/// The destinations of a resource's requests.
#[derive(Debug)]
pub(crate) struct Upstream {
    endpoint: Arc<Endpoint>,
}

impl Upstream {
    /// The upstream with these settings. An endpoint of `previous` is reused with its open connections, if its settings are the
    /// same and its CA file is not in `changed_files`.
    ///
    /// # Errors
    /// A URL or a CA file cannot be used.
    pub(crate) fn reuse_or_new(
        previous: Option<&Self>,
        configured: &Configured,
        timeouts: &Timeouts,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Self, UpstreamError> {
        let previous = previous.map(|previous| &previous.endpoint);
        let endpoint = Endpoint::reuse_or_new(previous, configured, timeouts, changed_files)?;
        Ok(Self { endpoint })
    }

    /// The endpoint for a message that belongs to none.
    pub(crate) const fn choose(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// The endpoint with this id, which a sealed value names.
    pub(crate) fn by_id(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        Some(&self.endpoint).filter(|endpoint| endpoint.id() == id)
    }
}
