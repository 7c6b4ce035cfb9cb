//! The upstream of a resource: the endpoints of its MCP server.
//!
//! * [`balance`] spreads calls over the endpoints;
//! * [`endpoint`] is one instance of the server: its address and its connections, [`addresses`] are those of its host;
//! * [`wire`] is the byte stream of a connection, [`connect`] opens one over TCP, TLS or a unix socket; [`tls`] is who is expected there;
//! * [`link`] is a connection of HTTP/1.1 in use, read and written by the request that uses it; [`sending`] is that request as bytes;
//! * [`pool`] holds idle connections between two requests;
//! * [`body`] is the body of an answer, which returns its connection to the pool;
//! * [`http2`] shares connections between requests, for upstreams that speak HTTP/2.

mod addresses;
mod balance;
mod body;
mod connect;
mod endpoint;
mod error;
mod http2;
mod link;
mod pool;
mod sending;
#[cfg(test)]
pub(crate) mod test_server;
mod tls;
mod wire;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use crate::{
    config::{Resource, Timeouts},
    telemetry::metrics::Metrics,
};
use balance::Plan;
pub(crate) use balance::{Call, EndpointSet, Lookup, Needs, RETRY_AFTER, Tried, Watch};
pub(crate) use body::UpstreamBody;
pub(crate) use endpoint::Endpoint;
pub(crate) use error::{SendError, UpstreamError};

/// The destinations of a resource's requests.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// The endpoints in use. A reload keeps it.
    set: Arc<EndpointSet>,
    plan: Arc<Plan>,
}

impl Upstream {
    /// The upstream of a resource with this label. Endpoints of `previous` are reused with their open connections, if their settings
    /// are the same and no file of their TLS is in `changed_files`. It is in use once it is [activated](Self::activate).
    ///
    /// # Errors
    /// A URL or a file cannot be used.
    pub(crate) fn reuse_or_new(
        previous: Option<&Self>,
        (resource, label): (&Resource, &str),
        timeouts: &Timeouts,
        changed_files: &BTreeSet<PathBuf>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, UpstreamError> {
        let known = previous.map(|previous| &previous.plan);
        let plan = Plan::reuse_or_new(known, resource, timeouts, changed_files)?;
        let set = match previous {
            Some(previous) => previous.set.clone(),
            None => EndpointSet::new(&plan, label, metrics),
        };
        Ok(Self { set, plan })
    }

    /// Uses its endpoints from now on, instead of those of the configuration before.
    pub(crate) fn activate(&self) {
        self.set.follow(&self.plan);
    }

    /// The endpoints in use.
    pub(crate) const fn set(&self) -> &Arc<EndpointSet> {
        &self.set
    }

    /// Whether an operator must know which endpoint got a call: several are configured, or they are the addresses of a name.
    pub(crate) fn has_several(&self) -> bool {
        self.plan.has_several()
    }

    /// The configured endpoints.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> String {
        self.plan.shown()
    }

    /// The endpoints in use, and what the configuration says about them.
    pub(crate) const fn watched(&self) -> (&Arc<EndpointSet>, &Arc<Plan>) {
        (&self.set, &self.plan)
    }
}
