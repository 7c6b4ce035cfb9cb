//! The proof that a request has with a token that is bound to a key (RFC 9449 §7.1).
//!
//! The token was verified before, and the key of the proof is compared with that of the token before the signature is verified: so
//! a signature costs something only for who has a token. An address that caused too many refusals must wait for that, too, unless the
//! token was known: who has it and the public key of its proofs is no stranger.

use http::{HeaderValue, header::HeaderMap};
use mcp_gateway_core::{
    refusal::{Refusal, challenge::TokenScheme, fault::Fault, reason::Reason},
    token::{
        bearer::named_scheme,
        dpop::{Expected, Proof, Unsigned, fault::ProofFault, field, nonce::Nonces},
        evidence::binding::Thumbprint,
    },
    why::proof,
};

use crate::{
    clock,
    request::exchange::Exchange,
    snapshot::{ProtectedResource, Snapshot},
    verify::{Judged, question::Question},
};

/// Checks that the request has a proof of this key for itself and its token, which was not used before.
pub(super) fn check(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    key: &Thumbprint,
    question: &Question<'_>,
    judged: &Judged,
) -> Result<(), Refusal> {
    let head = exchange.session.req_header();
    let uri = resource.uri_at(head.uri.path());
    let expected = Expected {
        method: head.method.as_str(),
        uri: &uri,
        token: Some(&question.digest),
        key: Some(key),
        nonces: nonces(&exchange.snapshot, resource),
        now: question.now,
    };
    let proof = verified(exchange, &expected, judged.is_known)?;
    let owner = judged.verdict.evidence.principal.subject();
    let most = exchange.snapshot.limits.dpop_proofs;
    let used = exchange.gateway.used_proofs();
    used.enter(&proof, &owner, most, question.now)?;
    Ok(())
}

fn verified(
    exchange: &Exchange<'_>,
    expected: &Expected<'_>,
    is_known: bool,
) -> Result<Proof, Refusal> {
    let refused = |fault: ProofFault| -> Refusal {
        Fault::new(fault.reason(), proof::found(&fault, expected)).into()
    };
    let text = field::proof(&exchange.session.req_header().headers).map_err(refused)?;
    let unsigned = Unsigned::read(text, expected).map_err(refused)?;
    let address = exchange.record.client_address();
    if !is_known && let wait @ Some(_) = exchange.gateway.refusal_wait(address) {
        return Err(Refusal {
            retry_after: wait,
            ..Reason::TooManyRefusals.into()
        });
    }
    unsigned.verify().map_err(refused)
}

fn nonces<'a>(snapshot: &'a Snapshot, resource: &ProtectedResource) -> Option<Nonces<'a>> {
    resource.dpop_nonces.then(|| Nonces {
        sealer: snapshot.sealer(),
        lifetime: snapshot.timeouts.dpop_nonce,
    })
}

/// The nonce for the next proof of a client that sends proofs (RFC 9449 §8.2, §9); none where the resource requires none.
pub(crate) fn next_nonce(exchange: &Exchange<'_>) -> Option<HeaderValue> {
    let resource = exchange.resource.as_ref()?;
    let headers: &HeaderMap = &exchange.session.req_header().headers;
    let nonces = nonces(&exchange.snapshot, resource)?;
    (named_scheme(headers) == Some(TokenScheme::Dpop))
        .then(|| HeaderValue::try_from(nonces.current(clock::now())).ok())
        .flatten()
}
