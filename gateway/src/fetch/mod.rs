//! The outbound HTTP client and its guards: the only place that names reqwest.
//!
//! [`client`] fetches a document, directly or through a [`proxy`]; [`bearer`] is a credential that goes with a request.

mod bearer;
pub(crate) mod client;
mod environment;
pub(crate) mod error;
mod proxy;
