//! Token exchange (RFC 8693): a client of the operator gets an access token for the subject of another token.
//!
//! Never for more than that token allows: its subject, its scopes, no longer than it lives. The other token is one that a trusted
//! issuer made for an accepted audience, or one of this server. Of those, the new one is for the same resource: consent to one
//! resource says nothing about another. It also ends with the grant of the old one, whose id it has.

mod own;
mod request;
#[cfg(test)]
mod tests;
mod trusted;

pub use own::{OwnToken, exchange_own};
pub use request::{Exchange, SubjectTokenType, read};
pub use trusted::{ForeignToken, exchange_trusted, refused};

/// The grant type (RFC 8693 §2.1).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
