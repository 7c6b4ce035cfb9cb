//! DPoP proofs (RFC 9449): a client signs each request with the key that its access token is bound to.
//!
//! [`field`] finds the one proof in the `DPoP` headers. [`Proof::verify`] judges it in this order: form and header (`header.rs`), claims
//! (`claims.rs`: method, target, time, token, nonce), the key of the token, and the signature last, because only it is expensive.
//! `target.rs` compares URIs, [`nonce`] are the nonces of the gateway, [`window`] remembers proofs so that none is accepted twice.

mod claims;
mod expected;
pub mod fault;
pub mod field;
mod header;
pub mod nonce;
mod proof;
mod target;
pub mod window;

pub(crate) use claims::MAX_ID_BYTES;
pub use expected::{Expected, PROOF_AGE};
pub use header::PROOF_ALGORITHMS;
pub(crate) use header::PROOF_TYPE;
pub use proof::{Proof, ProofId, Unsigned};

#[cfg(test)]
mod tests;
