//! Calls spread over the endpoints of an upstream.
//!
//! * [`plan`] is what the configuration says, [`instance`] one endpoint with its metrics;
//! * [`set`] is the endpoints in use, with the decisions of `mcp_gateway_core::balance` behind one lock: a [`call`](set::Call) takes
//!   an endpoint from it, and gives it back when its answer is complete;
//! * [`resolving`] looks up the addresses of a name, [`checking`] asks endpoints whether they are alive, [`probe`] is these questions to one endpoint,
//!   [`watch`] runs both;
//! * [`events`] says in the log what changed.

mod checking;
mod events;
mod instance;
mod plan;
mod probe;
mod resolving;
mod set;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use plan::Plan;
pub(crate) use resolving::Lookup;
pub(crate) use set::{Call, EndpointSet, Needs, RETRY_AFTER, Tried};
pub(crate) use watch::Watch;
