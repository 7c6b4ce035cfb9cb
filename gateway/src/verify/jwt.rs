//! The verifier of JWTs: with the keys of the issuer that the token names.

use mcp_gateway_core::{
    refusal::{Refusal, reason::Reason},
    time::UnixTime,
    token::{evidence::Evidence, jwt::Unverified},
};

use super::{
    question::Question,
    trusted_issuer::TrustedIssuer,
    verdict::{Freshness, Verdict},
};
use crate::issuer_keys::key_state::KeyState;

/// A JWT, and the issuer that it names.
pub(super) struct Jwt<'a> {
    pub(super) token: Unverified<'a>,
    /// Index into the resource's issuers.
    pub(super) issuer: usize,
    pub(super) trusted: &'a TrustedIssuer,
    /// The audiences of the resource.
    pub(super) audience: &'a [String],
}

impl Jwt<'_> {
    /// The verdict. Waits for keys that are fetched, and fetches them again for a key that may have been published since.
    pub(super) async fn verify(&self, question: &Question<'_>) -> Result<Verdict, Refusal> {
        let keys = &self.trusted.keys;
        let mut state = keys.current().await?;
        loop {
            match self.judge(&state, question.now) {
                // The key may have been published since.
                Err(Reason::UnknownKey) if !state.is_fetched_after(question.started) => {
                    state = keys.newer_than(&state, question.started).await?;
                }
                outcome => {
                    let skew = self.trusted.profile.clock_skew;
                    return Ok(question.verdict(outcome?, self.freshness(Some(&state)), skew));
                }
            }
        }
    }

    /// What it proves by the keys that are known, and what that rests on; nothing while no keys are available.
    pub(super) fn judge_again(
        &self,
        now: UnixTime,
    ) -> Result<(Option<Evidence>, Freshness), Reason> {
        let state = self.trusted.keys.usable();
        let evidence = state.as_deref().map(|state| self.judge(state, now));
        Ok((evidence.transpose()?, self.freshness(state.as_deref())))
    }

    fn judge(&self, state: &KeyState, now: UnixTime) -> Result<Evidence, Reason> {
        let profile = &self.trusted.profile;
        (self.token).verify_bound(profile, state.keys(), self.audience, now)
    }

    fn freshness(&self, state: Option<&KeyState>) -> Freshness {
        Freshness::Keys {
            issuer: self.issuer,
            generation: state.map(KeyState::generation),
        }
    }
}
