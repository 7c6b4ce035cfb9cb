//! The second half of phase 3: the sender has what its token is bound to. Checked at each request, also where the verdict on the
//! token comes from the cache.

pub(super) mod dpop;

use mcp_gateway_core::{
    refusal::Refusal,
    token::{bearer::Presented, evidence::possession::Possession},
};

use super::exchange::Exchange;
use crate::{
    snapshot::ProtectedResource,
    verify::{Verdict, question::Question},
};

/// Checks that the sender of this token may use it.
pub(super) fn check(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    presented: &Presented<'_>,
    question: &Question<'_>,
    verdict: &Verdict,
) -> Result<(), Refusal> {
    let binding = verdict.evidence.binding.as_ref();
    match resource.constraint.demanded(binding, presented.scheme)? {
        Possession::Nothing => Ok(()),
        Possession::Key(key) => dpop::check(exchange, resource, &key, question, verdict),
    }
}
