//! Who calls, and may they? From the `Authorization` header to a `Permit` or a `Refusal`.
//!
//! The path of a request, one module a step:
//!
//! 1. [`token`]: exactly one bearer token, or none.
//! 2. [`jwt`]: the token read strictly, header by [`jose`], its signature verified by a key of its own issuer
//!    ([`key_set`]), its claims judged at an instant. What comes out is a [`principal`].
//! 3. [`policy`]: may this [`principal`], with these [`scope`]s, call this? What comes out is a [`decision`]. A rule may
//!    have a [`condition`], which reads [`kept_claims`].
//! 4. [`rate`]: not more often than fair use allows.
//! 5. [`challenge`]: how a refusal tells the client where to get a token, or a better one.
//!
//! [`reason`] is the one table of refusals; [`self_test`](mod@self_test) is run once at start.

pub mod algorithm;
pub mod challenge;
mod claims;
pub mod condition;
pub mod decision;
pub mod jose;
pub mod jwt;
pub mod kept_claims;
pub mod key_set;
pub mod policy;
pub mod principal;
pub mod rate;
pub mod reason;
pub mod scope;
mod self_test;
pub mod token;
pub mod unproven;

pub use self_test::{SelfTestError, self_test};

#[cfg(test)]
mod test_issuer;
