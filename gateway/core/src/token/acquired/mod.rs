//! Tokens that the gateway gets for an upstream: with its own client credentials (RFC 6749 §4.4), or for the token of a caller (RFC 8693).
//!
//! [`request`] is what a token endpoint gets, [`answer`] what it says, [`lifetime`] how long a token is used, and [`holdings`] the store of those
//! that are in use.

pub mod answer;
pub mod holdings;
pub mod lifetime;
pub mod request;
#[cfg(test)]
mod tests;
