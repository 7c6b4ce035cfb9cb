//! Tokens: from the `Authorization` header to a verified caller.
//!
//! The steps, one module for each:
//!
//! 1. [`bearer`]: finds exactly one bearer token, or none (RFC 6750). Its form ([`jwt::form`]) says who can verify it.
//! 2. [`jwt`]: reads the token strictly. [`jose`] reads its header, `jwt/payload.rs` finds its claims, a key of its own issuer verifies its
//!    signature ([`key_set`], `key_set/served.rs`), and its claims are checked at an instant against the [`issuer_profile`]. The result
//!    is [`evidence`]: who calls, what the token is bound to, and the grant that it comes from. [`claim_path`] finds a claim;
//!    [`issuer_template`] is an issuer with many tenants.
//!
//! [`api_key`] are the credentials of machines and people without OAuth.
//! A token may be bound to a key of its client, who then proves with each request that it has the key: [`dpop`].
//! A token that only its issuer can read is verified by [`introspection`].
//!
//! The gateway gets tokens of its own for upstreams: [`acquired`]. [`client_proof`] is how it says there, and to an introspection endpoint, who it is.
//! What the gateway states to an upstream about a verified caller is an [`assertion`].
//!
//! An ID token, which says who signed in, is verified by [`id_token`]; [`claim_set`] are its claims.
//!
//! [`unproven`] reads claims without a signature, only for `check --explain`. [`self_test`](mod@self_test) runs once at start.

pub mod acquired;
pub mod algorithm;
pub mod api_key;
pub mod assertion;
pub mod bearer;
pub mod claim_path;
pub mod claim_set;
pub(crate) mod claims;
pub mod client_proof;
pub mod dpop;
pub mod evidence;
pub mod id_token;
pub mod introspection;
pub mod issuer_profile;
pub mod issuer_template;
pub mod jose;
pub mod jwt;
pub mod key_set;
mod self_test;
pub mod unproven;

pub use self_test::{SelfTestError, self_test};
