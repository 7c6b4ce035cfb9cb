//! What the gateway answers itself, without an upstream: today the protected resource metadata (RFC 9728).

pub(crate) mod documents;
