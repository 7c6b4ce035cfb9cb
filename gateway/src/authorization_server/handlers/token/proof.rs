//! What a token request proves: the key of its DPoP proof (RFC 9449 §5), or the certificate of its client (RFC 8705 §3). What is issued
//! is bound to that.
//!
//! No memory of its own has the proofs: anybody could fill it, since a public client proves nothing but a key that it made. A code and a
//! grant remember those that were used with them ([`UsedProof`]); other grant types issue what is of use only to who has the key.
//!
//! Signatures of proofs cost something. So callers first judge all that costs less, and a stranger, who has no code or token of this
//! server and no secret of a client, has none verified.

use mcp_gateway_core::{
    http::forwarding::DPOP,
    token::dpop::{Expected, Proof, field},
    why,
};
use mcp_gateway_oauth::{
    client::model::Client,
    discovery::paths,
    grant::UsedProof,
    proof_key::ProofKey,
    token::error::{Refused, TokenError},
};

use super::super::super::server::Server;
use crate::{clock, local::service::LocalRequest};

/// What a client proved to have.
pub(super) struct Proven {
    /// Its key, or its certificate; none where its tokens are bound to nothing.
    pub(super) key: Option<ProofKey>,
    /// The proof of its key.
    pub(super) proof: Option<UsedProof>,
}

/// Judges what this client proves, with the signature of its proof.
///
/// # Errors
/// There is no proof, or no certificate, or a proof where a certificate is expected. There are several proofs, or the proof is not for
/// this request, not of now, or not valid.
pub(super) fn proven(
    server: &Server,
    client: &Client,
    request: &LocalRequest,
) -> Result<Proven, Refused> {
    let has_proof = request.headers.contains_key(DPOP);
    match means(client, has_proof, request.certificate.as_ref())? {
        Means::Nothing => Ok(Proven {
            key: None,
            proof: None,
        }),
        Means::Certificate(key) => Ok(Proven {
            key: Some(key),
            proof: None,
        }),
        Means::Proof => {
            let proof = verified(server, request)?;
            Ok(Proven {
                key: Some(ProofKey::new(&proof.key)),
                proof: Some(UsedProof::new(&proof)),
            })
        }
    }
}

fn verified(server: &Server, request: &LocalRequest) -> Result<Proof, Refused> {
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
    proof.map_err(|fault| {
        let found = why::proof::found(&fault, &expected);
        Refused::of(TokenError::ProofNotValid).found(found)
    })
}

/// How a client proves what its tokens are bound to.
#[derive(Debug, PartialEq, Eq)]
enum Means {
    /// They are bound to nothing.
    Nothing,
    /// With a DPoP proof, which is not judged yet.
    Proof,
    /// With its certificate.
    Certificate(ProofKey),
}

/// How this client proves it. One that registered so gets no bearer tokens (RFC 9449 §5.2, RFC 8705 §3.4).
fn means(
    client: &Client,
    has_proof: bool,
    certificate: Option<&[u8; 32]>,
) -> Result<Means, Refused> {
    match (client.requires_certificate, has_proof, certificate) {
        (true, false, Some(digest)) => Ok(Means::Certificate(ProofKey::of_certificate(digest))),
        (true, false, None) => Err(TokenError::CertificateMissing.into()),
        (true, true, _) => Err(Refused::of(TokenError::ProofNotValid)
            .found("a DPoP header")
            .expected("none: the tokens of this client are bound to its certificate")),
        (false, true, _) => Ok(Means::Proof),
        (false, false, _) if client.requires_proof => Err(Refused::of(TokenError::ProofNotValid)
            .found("no DPoP header")
            .expected("a proof: the client has dpop_bound_access_tokens (dpop_bound in the configuration)")),
        (false, false, _) => Ok(Means::Nothing),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_certificate_binds_where_the_client_asked_for_it_and_nowhere_else() {
        use TokenError::{CertificateMissing, ProofNotValid};
        let digest = Some([2; 32]);
        let certificate = || Means::Certificate(ProofKey::of_certificate(&[2; 32]));
        for (requires, has_proof, presented, expected) in [
            ((false, false), false, None, Ok(Means::Nothing)),
            // A certificate that a client has for something else changes nothing.
            ((false, false), false, digest, Ok(Means::Nothing)),
            ((false, false), true, digest, Ok(Means::Proof)),
            ((true, false), false, digest, Err(ProofNotValid)),
            ((true, false), true, None, Ok(Means::Proof)),
            ((false, true), false, digest, Ok(certificate())),
            ((false, true), false, None, Err(CertificateMissing)),
            ((false, true), true, digest, Err(ProofNotValid)),
            ((true, true), true, digest, Err(ProofNotValid)),
        ] {
            let client = client(requires.0, requires.1);
            let found = means(&client, has_proof, presented.as_ref());
            let found = found.map_err(|refused| refused.error);
            assert_eq!(found, expected, "{requires:?} {has_proof} {presented:?}");
        }
    }
}
