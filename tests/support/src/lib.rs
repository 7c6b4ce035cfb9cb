//! Keys, key sets and tokens for every test, so that a test can choose every byte.
//!
//! - [`KeyPair`] signs by the names of the JOSE algorithms (RFC 7518 §3.1) and shows its public key in any form; the pairs
//!   [`RSA`], [`OTHER_RSA`], [`P256`], [`P384`] and [`ED25519`] are made once per process;
//! - [`Key`] is a pair with the id under which its issuer publishes it;
//! - [`Token`] is a good access token until a test changes something;
//! - [`Proof`] is a good DPoP proof of a key until a test changes something;
//! - [`fixtures`] are the resource, the instant and the claims of tests that verify tokens without a clock;
//! - [`within_budget`] compares a figure with what `tests/budgets.yaml` allows.
//!
//! It depends on no crate of the gateway, so that the core's own tests can use it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod budgets;
mod clock;
mod data_file;
mod draft;
mod encoding;
pub mod fixtures;
mod keys;
mod proof;
mod token;

pub use budgets::{budget, future_bytes, uncalled, within_budget};
pub use clock::now;
pub use data_file::data_lines;
pub use encoding::{base64url, base64url_decode, with_members};
pub use keys::key::{Key, key_set};
pub use keys::key_pair::{ED25519, KeyPair, OTHER_RSA, P256, P384, RSA};
pub use keys::public_key::{jwk_set, public_key_pem};
pub use keys::signature::{compact, hmac};
pub use proof::Proof;
pub use token::Token;
