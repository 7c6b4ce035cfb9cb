//! What a token request proves: the key of its DPoP proof (RFC 9449 §5), or the certificate of its client (RFC 8705 §3). What is issued
//! is bound to that.
//!
//! Proofs are not remembered here. What is issued is of use only to who has the key, so a request that is copied with its proof gives
//! nobody a token to use. But it counts as the client's while the time of the proof is accepted: an old code or refresh token in it ends
//! the grant. Anybody could fill a memory of proofs: a public client proves nothing but a key that it made.

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

/// What the tokens of this client are bound to: the key that it proved to have, or its certificate. A client that registered so gets
/// no bearer tokens (RFC 9449 §5.2, RFC 8705 §3.4).
///
/// # Errors
/// There is no proof, or no certificate, or a proof where a certificate is expected.
pub(super) fn required(
    client: &Client,
    key: Option<ProofKey>,
    request: &LocalRequest,
) -> Result<Option<ProofKey>, Refused> {
    let certificate = request.certificate.as_ref();
    match (client.requires_certificate, key, certificate) {
        (true, None, Some(digest)) => Ok(Some(ProofKey::of_certificate(digest))),
        (true, None, None) => Err(TokenError::CertificateMissing.into()),
        (true, Some(_), _) => Err(Refused::of(TokenError::ProofNotValid)
            .found("a DPoP header")
            .expected("none: the tokens of this client are bound to its certificate")),
        (false, None, _) if client.requires_proof => Err(Refused::of(TokenError::ProofNotValid)
            .found("no DPoP header")
            .expected("a proof: the client has dpop_bound_access_tokens (dpop_bound in the configuration)")),
        (false, key, _) => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use mcp_gateway_core::http::client_address::ClientAddress;
    use mcp_gateway_oauth::client::model::{ClientMethod, ClientOrigin, GrantTypes};

    use super::*;

    fn client(requires_proof: bool, requires_certificate: bool) -> Client {
        Client {
            id: "client".to_owned(),
            name: None,
            redirect_uris: Vec::new(),
            method: ClientMethod::None,
            grant_types: GrantTypes::default(),
            requires_proof,
            requires_certificate,
            scopes: None,
            origin: ClientOrigin::Configured,
        }
    }

    fn request(certificate: Option<[u8; 32]>) -> LocalRequest {
        LocalRequest {
            method: Method::POST,
            path: paths::TOKEN.to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            client: ClientAddress::Known([127, 0, 0, 1].into()),
            certificate,
            request_id: String::new(),
        }
    }

    #[test]
    fn a_certificate_binds_where_the_client_asked_for_it_and_nowhere_else() {
        use TokenError::{CertificateMissing, ProofNotValid};
        let (key, digest) = (ProofKey::new(&[1; 32]), Some([2; 32]));
        let certificate = ProofKey::of_certificate(&[2; 32]);
        for (requires, proved, presented, expected) in [
            ((false, false), None, None, Ok(None)),
            // A certificate that a client has for something else changes nothing.
            ((false, false), None, digest, Ok(None)),
            ((false, false), Some(&key), digest, Ok(Some(&key))),
            ((true, false), None, digest, Err(ProofNotValid)),
            ((true, false), Some(&key), None, Ok(Some(&key))),
            ((false, true), None, digest, Ok(Some(&certificate))),
            ((false, true), None, None, Err(CertificateMissing)),
            ((false, true), Some(&key), digest, Err(ProofNotValid)),
            ((true, true), Some(&key), digest, Err(ProofNotValid)),
        ] {
            let (client, request) = (client(requires.0, requires.1), request(presented));
            let found = required(&client, proved.cloned(), &request);
            let found = found.map_err(|refused| refused.error);
            assert_eq!(
                found,
                expected.map(|own| own.cloned()),
                "{requires:?} {proved:?} {presented:?}"
            );
        }
    }
}
