//! The token endpoint (RFC 6749 §3.2), revocation (RFC 7009) and introspection (RFC 7662).
//!
//! [`code`], [`refresh`], [`client_credentials`], [`assertion`] and [`exchange`] judge one grant type each and say what is issued ([`issued`]): the claims of an
//! access token ([`access`]) and a refresh token. That runs in a transaction; the rim signs the claims after it and answers
//! ([`answer`]). What cannot be signed is given back ([`give_back`](mod@give_back)). [`scopes`]: what a token may have of
//! what was granted. [`revoke`](mod@revoke) and
//! [`introspect`](mod@introspect) take tokens of either kind. [`error`]: what is answered otherwise.
//!
//! The client is authenticated before, and its resource is already spelt as the configuration spells it.

pub mod access;
pub mod answer;
pub mod assertion;
pub mod client_credentials;
pub mod code;
mod derived;
pub mod error;
pub mod exchange;
pub mod give_back;
pub mod introspect;
pub mod issued;
pub mod refresh;
pub mod revoke;
pub mod scopes;
#[cfg(test)]
pub(crate) mod testing;
