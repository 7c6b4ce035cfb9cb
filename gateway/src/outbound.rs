//! Requests the gateway makes on its own behalf: to the issuers it trusts, and to nobody else.
//!
//! The only module that names `reqwest`. Every fetch has a deadline and a size limit, follows no redirect, uses no
//! proxy from the environment and sends no secret.

pub(crate) mod client;
mod discovery;
pub(crate) mod jwks;
pub(crate) mod keeper;
