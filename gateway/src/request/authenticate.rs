//! Phase 3: exactly one access token, verified for this resource, or a challenge.
//!
//! The verdict on a token that was verified before is found by its SHA-256, and only what can change is checked again. Any other
//! token costs a verification, which is refused to an address that caused too many refusals; not for a token whose issuer accepted it when
//! it was asked last, and not for a valid API key.

use std::time::Instant;

use mcp_gateway_core::{
    refusal::{Refusal, reason::Reason},
    token::api_key::presented::credential,
};

use super::{
    exchange::{Exchange, Stop},
    possession,
};
use crate::{
    clock,
    snapshot::ProtectedResource,
    verify::{Judged, TokenDigest, Verdict, introspection::Recheck, question::Question},
};

/// A caller whose token is accepted.
pub(crate) struct Authenticated {
    pub(crate) verdict: Verdict,
    /// The digest of the token.
    pub(crate) digest: TokenDigest,
    /// The questions about the token while its answer is under way, where its issuer is asked.
    pub(crate) recheck: Option<Box<Recheck>>,
}

/// The caller of a request.
pub(crate) async fn authenticate(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    query: Option<&str>,
) -> Result<Authenticated, Stop> {
    let started = Instant::now();
    let headers = &exchange.session.req_header().headers;
    let limit = exchange.snapshot.limits.token_bytes;
    let presented = credential(headers, query, &resource.accepts(), limit)?;
    let accounts = exchange.gateway.subject_accounts();
    let question = Question::new(presented.token, (clock::now(), started), accounts);
    let judged = verdict(&question, resource, exchange).await;
    let durations = &exchange.gateway.metrics().authentication_duration;
    durations.observe(started.elapsed().as_secs_f64());
    let judged = judged?;
    if judged.verdict.is_revoked(exchange.gateway.revocations()) {
        return Err(Reason::TokenRevoked.into());
    }
    possession::check(exchange, resource, &presented, &question, &judged)?;
    let verdict = judged.verdict;
    let asking = question.with_address(exchange.counted_address());
    let recheck = (resource.verifiers).recheck(&asking, &verdict);
    Ok(Authenticated {
        verdict,
        digest: question.digest,
        recheck: recheck.map(Box::new),
    })
}

/// The verdict on the token, given now or found in the cache.
async fn verdict(
    question: &Question<'_>,
    resource: &ProtectedResource,
    exchange: &Exchange<'_>,
) -> Result<Judged, Refusal> {
    let metrics = exchange.gateway.metrics();
    if let Some(verdict) = resource.verifiers.known(question)? {
        metrics.token_cache.with_label_values(&["hit"]).inc();
        return Ok(Judged {
            verdict,
            is_known: true,
        });
    }
    metrics.token_cache.with_label_values(&["miss"]).inc();
    // To find an API key is no work that must be limited, so a valid one does not pay for its neighbours either.
    if let Some(verdict) = resource.verifiers.accepted_api_key(question) {
        return Ok(Judged {
            verdict,
            is_known: true,
        });
    }
    let address = exchange.record.client_address();
    // A caller that was accepted before does not pay for its neighbours.
    let was_accepted = resource.verifiers.was_accepted(question);
    if let wait @ Some(_) = exchange
        .gateway
        .refusal_wait(address)
        .filter(|_| !was_accepted)
    {
        return Err(Refusal {
            retry_after: wait,
            ..Reason::TooManyRefusals.into()
        });
    }
    let question = question.with_address(exchange.counted_address());
    let verdict = resource.verifiers.verify(&question).await;
    let verdict = verdict.map_err(|refusal| Refusal {
        was_asked_in_vain: refusal.was_asked_in_vain && !was_accepted,
        ..refusal
    })?;
    Ok(Judged {
        verdict,
        is_known: false,
    })
}
