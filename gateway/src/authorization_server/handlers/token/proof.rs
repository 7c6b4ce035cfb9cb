//! The DPoP proof of a token request (RFC 9449 §5): what is issued is bound to its key.
//!
//! Proofs are not remembered here. A code is used once, a refresh token is turned with each use, and what is issued is of use only to
//! who has the key: a copied request gives nothing.

use mcp_gateway_core::{
    http::forwarding::DPOP,
    token::dpop::{Expected, Proof, field},
    why,
};
use mcp_gateway_oauth::{
    client::model::Client,
    discovery::paths,
    proof_key::ProofKey,
    token::error::{Refused, TokenError},
};

use super::super::super::server::Server;
use crate::{clock, local::service::LocalRequest};

/// The key that the client proves to have; none without a proof.
///
/// # Errors
/// There are several proofs, or the proof is not for this request, not of now, or not valid.
pub(super) fn proved(server: &Server, request: &LocalRequest) -> Result<Option<ProofKey>, Refused> {
    if !request.headers.contains_key(DPOP) {
        return Ok(None);
    }
    let uri = server.settings.profile.url(paths::TOKEN);
    let expected = Expected {
        method: request.method.as_str(),
        uri: &uri,
        token: None,
        key: None,
        nonces: None,
        now: clock::now(),
    };
    let proof = field::proof(&request.headers).and_then(|text| Proof::verify(text, &expected));
    match proof {
        Ok(proof) => Ok(Some(ProofKey::new(&proof.key))),
        Err(fault) => {
            let found = why::proof::found(&fault, &expected);
            Err(Refused::of(TokenError::ProofNotValid).found(found))
        }
    }
}

/// A client that registered so gets no bearer tokens (RFC 9449 §5.2).
///
/// # Errors
/// There is no proof.
pub(super) fn require(client: &Client, key: Option<&ProofKey>) -> Result<(), Refused> {
    match client.requires_proof && key.is_none() {
        true => Err(Refused::of(TokenError::ProofNotValid)
            .found("no DPoP header")
            .expected("a proof: the client has dpop_bound_access_tokens")),
        false => Ok(()),
    }
}
