//! What the gateway answers itself, without an upstream: the protected resource metadata (RFC 9728), and requests for a
//! [`service`] of its own.

pub(crate) mod documents;
pub(crate) mod service;
