//! A token that is bound to a certificate, at a request: the client presented that certificate (RFC 8705 §3).

use mcp_gateway_core::{
    refusal::{Refusal, fault::Fault, reason::Reason},
    token::evidence::{binding::Thumbprint, possession::Possession},
    why::certificate::found,
};

use crate::request::exchange::Exchange;

/// The certificate that the client of this request presented.
///
/// # Errors
/// A proxy names it in a way that cannot be read. That refuses any token: somebody else may have written it.
pub(in crate::request) fn presented(
    exchange: &Exchange<'_>,
) -> Result<Option<Thumbprint>, Refusal> {
    let headers = &exchange.session.req_header().headers;
    let presented = exchange.certificate.thumbprint(headers);
    presented.map_err(|error| Fault::new(Reason::ClientCertHeader, error.to_string()).into())
}

/// Checks that the client presented the certificate that its token is bound to.
pub(super) fn check(
    exchange: &Exchange<'_>,
    bound: &Thumbprint,
    presented: Option<&Thumbprint>,
) -> Result<(), Refusal> {
    let place = exchange.certificate.place();
    let held = Possession::Certificate(*bound).has_certificate(presented);
    held.map_err(|reason| Fault::new(reason, found(bound, presented, place)).into())
}
