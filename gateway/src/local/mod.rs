//! What the gateway answers itself, without an upstream: the protected resource metadata (RFC 9728).

pub(crate) mod documents;
