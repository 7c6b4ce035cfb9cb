//! Phase 3: exactly one bearer token, verified for this resource, or a challenge.
//!
//! A token that was verified before is found by its SHA-256, and only its expiry and its keys are checked again. Any other
//! token costs a signature verification, which is refused to an address that caused too many refusals.

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
    issuer_keys::key_state::KeyState,
    shared::Gateway,
    snapshot::{ProtectedResource, TokenDigest, TrustedIssuer, VerifiedToken},
};

/// The verified token of the caller.
pub(crate) async fn authenticate(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    query: Option<&str>,
) -> Result<VerifiedToken, Stop> {
    let started = Instant::now();
    let headers = &exchange.session.req_header().headers;
    let token = bearer(headers, query, exchange.snapshot.limits.token_bytes)?;
    let token = verified_token(&token, resource, exchange, started).await;
    let durations = &exchange.gateway.metrics().authentication_duration;
    durations.observe(started.elapsed().as_secs_f64());
    let token = token?;
    if token.is_revoked(exchange.gateway.revocations()) {
        return Err(Reason::TokenRevoked.into());
    }
    Ok(token)
}

/// The token, verified now or found in the cache.
async fn verified_token(
    token: &BearerToken<'_>,
    resource: &ProtectedResource,
    exchange: &Exchange<'_>,
    started: Instant,
) -> Result<VerifiedToken, Refusal> {
    let metrics = exchange.gateway.metrics();
    let now = clock::now();
    let digest = digest_of(token);
    if let Some(verified) = cached_token(resource, &digest, now, started)? {
        metrics.token_cache.with_label_values(&["hit"]).inc();
        return Ok(verified);
    }
    metrics.token_cache.with_label_values(&["miss"]).inc();
    let address = exchange.record.client_address();
    if let wait @ Some(_) = exchange.gateway.refusal_wait(address) {
        return Err(Refusal {
            retry_after: wait,
            ..Reason::TooManyRefusals.into()
        });
    }
    let verified = verify(exchange.gateway, token, resource, now, started).await?;
    resource.verified_tokens.insert(digest, verified.clone());
    Ok(verified)
}

/// A token from the cache that is still valid: its keys are still the issuer's and not stale, and it has not expired.
fn cached_token(
    resource: &ProtectedResource,
    digest: &TokenDigest,
    now: UnixTime,
    started: Instant,
) -> Result<Option<VerifiedToken>, Reason> {
    let Some(token) = resource.verified_tokens.get(digest) else {
        return Ok(None);
    };
    let Some(trusted) = resource.issuers.get(token.issuer) else {
        return Ok(None);
    };
    let keys = trusted.keys.usable().ok_or(Reason::KeysUnavailable)?;
    // By the wall clock alone, a token would live longer when that clock is set back.
    if keys.generation() != token.generation || token.is_over(started) {
        resource.verified_tokens.remove(digest);
        return Ok(None);
    }
    token
        .verified
        .still_valid(trusted.profile.clock_skew, now)?;
    Ok(Some(token))
}

async fn verify(
    gateway: &Gateway,
    token: &BearerToken<'_>,
    resource: &ProtectedResource,
    now: UnixTime,
    started: Instant,
) -> Result<VerifiedToken, Refusal> {
    let unverified = Unverified::parse(token)?;
    let (issuer, trusted) = issuer_of(&unverified, resource).ok_or(Reason::WrongIssuer)?;
    let check = |state: &KeyState| {
        let keys = state.keys();
        let verified = unverified.verify(&trusted.profile, keys, &resource.audience, now)?;
        let ends = verified.expires.plus(trusted.profile.clock_skew);
        Ok(VerifiedToken {
            deadline: VerifiedToken::deadline(started, ends.since(now)),
            account: gateway.subject_account(&verified.principal),
            verified,
            issuer,
            generation: state.generation(),
        })
    };
    let mut state = trusted.keys.current().await?;
    loop {
        match check(&state) {
            // The key may have been published since.
            Err(Reason::UnknownKey) if !state.is_fetched_after(started) => {
                state = trusted.keys.newer_than(&state, started).await?;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// The issuer that the token names, among those of the resource.
pub(super) fn issuer_of<'a>(
    token: &Unverified<'_>,
    resource: &'a ProtectedResource,
) -> Option<(usize, &'a TrustedIssuer)> {
    resource
        .issuers
        .iter()
        .enumerate()
        .find(|(_, trusted)| *trusted.profile.issuer == *token.issuer())
}

fn digest_of(token: &BearerToken<'_>) -> TokenDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, token.expose().as_bytes()).as_ref());
    bytes
}
