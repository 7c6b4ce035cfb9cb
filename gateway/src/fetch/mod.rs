//! The outbound HTTP clients and their guards: the only place that names reqwest.
//!
//! [`client`] fetches a document that the operator named, directly or through a [`proxy`]; [`bearer`] is a credential that goes
//! with a request, [`client_authentication`] how the gateway authenticates as a client, [`call`] what a request is. [`foreign`] fetches documents at URLs that strangers choose, over [`internet`]. [`http1`]: TLS and HTTP/1.1 on
//! one connection.

mod bearer;
pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod client_authentication;
mod environment;
pub(crate) mod error;
pub(crate) mod foreign;
mod http1;
pub(crate) mod internet;
mod proxy;
#[cfg(test)]
pub(crate) mod test_internet;
