//! Tokens: from the `Authorization` header to a verified caller.
//!
//! The path of a token, one module a step:
//!
//! 1. [`bearer`]: exactly one bearer token, or none (RFC 6750).
//! 2. [`jwt`]: the token read strictly, its header by [`jose`], its signature verified by a key of its own issuer
//!    ([`key_set`], `key_set/jwk.rs`), its claims judged at an instant by the [`issuer_profile`]. What comes out is a
//!    [`Principal`](crate::principal::Principal).
//!
//! [`unproven`] reads claims without a signature, for `check --explain` alone. [`self_test`](mod@self_test) runs once at start.

pub mod algorithm;
pub mod bearer;
mod claims;
pub mod issuer_profile;
pub mod jose;
pub mod jwt;
pub mod key_set;
mod self_test;
pub mod unproven;

pub use self_test::{SelfTestError, self_test};
