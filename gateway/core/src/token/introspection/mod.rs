//! Introspection (RFC 7662): an authorization server is asked what a token is, and its answer is judged.
//!
//! [`question`] writes what the endpoint is asked, [`judge`] decides about what it [`answer`]s: the caller of the token, a no, or
//! nothing that can be used. Two services answer in forms of their own, which are read as if they were answers of the standard:
//! [`google`] and [`github`]. [`breaker`] decides when an endpoint that fails is asked again, and [`token_pauses`] when a token at which it
//! fails.

pub mod answer;
pub mod breaker;
mod claims;
pub mod endpoint;
mod github;
mod google;
mod growing_pause;
pub mod judge;
pub mod question;
mod standard;
pub mod token_pauses;
