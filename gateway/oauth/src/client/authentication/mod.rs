//! Client authentication at the token, revocation and introspection endpoints (RFC 6749 §2.3, RFC 7521 §4.2, RFC 7523 §3).
//!
//! [`presented`](mod@presented) reads what a request presents: exactly one method. [`authenticate`] compares it with the method that the client
//! registered. An assertion is then used up in the transaction of the request: [`use_assertion`].

mod assertion;
mod basic;
mod fault;
mod judge;
mod presented;
mod secret;
mod used;

pub use assertion::{
    AssertionFault, MAX_ASSERTION_BYTES, MAX_ASSERTION_LIFETIME, MAX_JTI_BYTES, OnceOnly,
};
pub use fault::{ClientFault, challenge};
pub use judge::{Authenticated, authenticate, authenticate_unknown, keys_wanted};
pub use presented::{ASSERTION_TYPE, Parameters, Presented, presented};
pub use secret::{is_secret_of, secret_digest};
pub use used::{
    MAX_ASSERTIONS, MAX_ASSERTIONS_PER_CLIENT, Use, UsedAssertion, UsedKey, unuse, use_assertion,
    use_once,
};

#[cfg(test)]
mod tests;
