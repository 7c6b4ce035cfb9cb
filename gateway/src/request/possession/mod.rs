//! The second half of phase 3: the sender has what its token is bound to. Checked at each request, also where the verdict on the
//! token comes from the cache.

pub(super) mod certificate;
pub(crate) mod client_certificate;
pub(super) mod dpop;

use mcp_gateway_core::{
    refusal::{Refusal, fault::Fault, reason::Reason},
    token::{
        bearer::Presented,
        evidence::possession::{Demand, Possession},
    },
    why::certificate::unbound,
};

use super::exchange::Exchange;
use crate::{
    snapshot::ProtectedResource,
    verify::{Judged, question::Question},
};

/// Checks that the sender of this token may use it.
pub(super) fn check(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    presented: &Presented<'_>,
    question: &Question<'_>,
    judged: &Judged,
) -> Result<(), Refusal> {
    let binding = judged.verdict.evidence.binding.as_ref();
    let certificate = certificate::presented(exchange)?;
    let demanded = resource.constraint.demanded(binding, presented.scheme);
    match demanded.map_err(|reason| refused(reason, resource))? {
        Possession::Nothing => Ok(()),
        Possession::Key(key) => dpop::check(exchange, resource, &key, question, judged),
        Possession::Certificate(bound) => {
            certificate::check(exchange, &bound, certificate.as_ref())
        }
    }
}

fn refused(reason: Reason, resource: &ProtectedResource) -> Refusal {
    match (reason, resource.constraint.mutual_tls) {
        (Reason::UnboundToken, Demand::Require) => Fault::new(reason, unbound()).into(),
        _ => reason.into(),
    }
}
