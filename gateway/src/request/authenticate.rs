//! Phase 3: exactly one bearer token, verified for this resource, or a challenge.
//!
//! A token that was verified before is found by its SHA-256 and checked again only for what time and key rotation can
//! change. Any other costs a signature, which an address that caused too many refusals is not granted.

use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use mcp_gateway_core::{
    refusal::{Refusal, reason::Reason},
    time::UnixTime,
    token::{
        bearer::{BearerToken, bearer},
        jwt::Unverified,
    },
};

use super::exchange::{Exchange, Stop};
use crate::{
    clock,
    snapshot::{ProtectedResource, TrustedIssuer, VerifiedToken},
    verify::keys::KeyState,
};

/// Who calls this resource.
pub(crate) async fn authenticate(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    query: Option<&str>,
) -> Result<VerifiedToken, Stop> {
    let started = Instant::now();
    let headers = &exchange.session.req_header().headers;
    let token = bearer(headers, query, exchange.snapshot.limits.token_bytes)?;
    let verdict = verdict(&token, resource, exchange, started).await;
    let durations = &exchange.gateway.metrics().authentication_duration;
    durations.observe(started.elapsed().as_secs_f64());
    Ok(verdict?)
}

async fn verdict(
    token: &BearerToken<'_>,
    resource: &ProtectedResource,
    exchange: &Exchange<'_>,
    started: Instant,
) -> Result<VerifiedToken, Refusal> {
    let metrics = exchange.gateway.metrics();
    let now = clock::now();
    let key = fingerprint(token);
    if let Some(verdict) = remembered(resource, &key, now, started)? {
        metrics.token_cache.with_label_values(&["hit"]).inc();
        return Ok(verdict);
    }
    metrics.token_cache.with_label_values(&["miss"]).inc();
    let address = exchange.record.client_ip();
    if let wait @ Some(_) = exchange.gateway.refusal_wait(address) {
        return Err(Refusal {
            retry_after: wait,
            ..Reason::TooManyRefusals.into()
        });
    }
    let verdict = verify(token, resource, now, started).await?;
    resource.verified_tokens.insert(key, verdict.clone());
    Ok(verdict)
}

/// A verdict that still stands: its keys are still the issuer's and fresh enough, and it has not expired.
fn remembered(
    resource: &ProtectedResource,
    key: &[u8; 32],
    now: UnixTime,
    started: Instant,
) -> Result<Option<VerifiedToken>, Reason> {
    let Some(verdict) = resource.verified_tokens.get(key) else {
        return Ok(None);
    };
    let Some(trusted) = resource.issuers.get(verdict.issuer) else {
        return Ok(None);
    };
    let keys = trusted.keys.usable().ok_or(Reason::KeysUnavailable)?;
    // A wall clock that was set back would keep a verdict for as much longer.
    if keys.generation() != verdict.generation || verdict.is_over(started) {
        resource.verified_tokens.remove(key);
        return Ok(None);
    }
    verdict
        .verified
        .still_valid(trusted.profile.clock_skew, now)?;
    Ok(Some(verdict))
}

async fn verify(
    token: &BearerToken<'_>,
    resource: &ProtectedResource,
    now: UnixTime,
    started: Instant,
) -> Result<VerifiedToken, Reason> {
    let unverified = Unverified::parse(token)?;
    let (issuer, trusted) = issuer_of(&unverified, resource).ok_or(Reason::WrongIssuer)?;
    let check = |state: &KeyState| {
        let keys = state.keys();
        let verified = unverified.verify(&trusted.profile, keys, &resource.audience, now)?;
        let ends = verified.expires.plus(trusted.profile.clock_skew);
        Ok(VerifiedToken {
            deadline: VerifiedToken::deadline(started, ends.since(now)),
            verified,
            issuer,
            generation: state.generation(),
        })
    };
    let state = trusted.keys.current().await?;
    match check(&state) {
        Err(Reason::UnknownKey) => check(&*trusted.keys.after(&state).await?),
        decided => decided,
    }
}

fn issuer_of<'a>(
    token: &Unverified<'_>,
    resource: &'a ProtectedResource,
) -> Option<(usize, &'a TrustedIssuer)> {
    resource
        .issuers
        .iter()
        .enumerate()
        .find(|(_, trusted)| *trusted.profile.issuer == *token.issuer())
}

fn fingerprint(token: &BearerToken<'_>) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.expose().as_bytes()).as_ref());
    key
}
