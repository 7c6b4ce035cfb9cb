//! Whether tokens of a resource are bound to their sender: `sender_constraint` of a resource (RFC 9449, RFC 8705).

use mcp_gateway_core::token::evidence::possession::Constraint;
pub use mcp_gateway_core::token::evidence::possession::Demand;

use crate::config::declaration::parts::{
    section::section,
    setting::{flag, word},
    vocabulary::Vocabulary,
};

section! {
    /// Whether tokens of a resource are bound to their sender.
    #[derive(Copy)]
    pub struct SenderConstraint {
        /// Tokens that are bound to a key of the client (DPoP, RFC 9449): refuse, allow (beside unbound tokens) or require (no other tokens). A bound token is never accepted without a proof.
        dpop: Demand = word(Demand::Allow),
        /// Require a nonce of the gateway in each DPoP proof, so that proofs cannot be made in advance. Clients get the nonce with a 401, and repeat the request. Replicas need the same sessions.key_files.
        dpop_nonces: bool = flag(false),
        /// Tokens that are bound to a client certificate (mutual TLS, RFC 8705): refuse, allow (beside unbound tokens) or require (no other tokens). A bound token is never accepted without its certificate, which clients present at a listener with client_certificates or to a proxy with client_certificate_header.
        mutual_tls: Demand = word(Demand::Allow),
    }
}

impl SenderConstraint {
    /// What is demanded of tokens.
    pub const fn constraint(&self) -> Constraint {
        Constraint {
            dpop: self.dpop,
            mutual_tls: self.mutual_tls,
        }
    }
}

impl Vocabulary for Demand {
    const NAME: &'static str = "Demand";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Refuse),
        ("allow", Self::Allow),
        ("require", Self::Require),
    ];
}
