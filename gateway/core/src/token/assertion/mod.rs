//! A signed assertion about the caller, for the upstream: what it says ([`claims`]), and how long it holds ([`window`]).
//!
//! It is a JWT of its own type, so that no reader takes it for an access token. It says who calls, not what is called: one is
//! sent with every call of a caller to an upstream while its window lasts.

pub mod claims;
pub mod window;
