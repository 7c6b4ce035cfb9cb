//! Verification of tokens: from a token to a [`Verdict`], by one verifier for each kind of token.
//!
//! [`Verifiers`] are those of one resource. [`choice`] finds the one that judges a token, [`jwt`] is the one for JWTs,
//! [`api_key`] the one for API keys, [`introspection`] the one for tokens that only their issuer can read. A verdict says
//! what it rests on ([`Freshness`]); while that holds, the [`cache`] answers for the same token.

mod api_key;
mod cache;
mod choice;
pub(crate) mod introspection;
mod jwt;
pub(crate) mod question;
mod trusted_issuer;
mod verdict;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    refusal::{Refusal, reason::Reason},
    time::UnixTime,
    token::{
        api_key::text::is_api_key,
        bearer::BearerToken,
        evidence::{Evidence, binding::Binding},
        issuer_profile::IssuerProfile,
        jwt::Unverified,
    },
};
use tokio::sync::watch;

pub(crate) use api_key::ApiKeys;
pub(crate) use cache::TokenDigest;
use cache::VerdictCache;
use choice::{Choice, choose};
use introspection::{Endpoint, Introspector, Recheck, Times};
use jwt::Jwt;
use question::Question;
pub(crate) use trusted_issuer::{KeysByIssuer, TrustedIssuer, keys_by_issuer, profile};
pub(crate) use verdict::{Freshness, Judged, Verdict};

/// The verifiers of one resource.
#[derive(Debug)]
pub(crate) struct Verifiers {
    issuers: Arc<[TrustedIssuer]>,
    audience: Arc<[String]>,
    api_keys: ApiKeys,
    introspector: Option<Arc<Introspector>>,
    verdicts: Arc<VerdictCache>,
}

impl Verifiers {
    /// The verifiers of these issuers' tokens for these audiences. The cache of `previous` is reused if each of its verdicts would be
    /// the same now; else an empty one stores `capacity` verdicts.
    pub(crate) fn reuse_or_new(
        previous: Option<&Self>,
        issuers: Arc<[TrustedIssuer]>,
        audience: Arc<[String]>,
        api_keys: ApiKeys,
        asked: Option<(Arc<Endpoint>, IssuerProfile)>,
        capacity: usize,
    ) -> Self {
        let own = previous.and_then(|previous| previous.introspector.as_ref());
        let introspector = asked.map(|(endpoint, profile)| {
            Introspector::reuse_or_new(own, endpoint, profile, &audience)
        });
        let asks_like = |previous: &&Self| {
            let of = |introspector: &Option<_>| introspector.as_ref().map(Arc::as_ptr);
            of(&previous.introspector) == of(&introspector)
        };
        let previous = previous.filter(asks_like);
        let previous = previous.map(|previous| &previous.verdicts);
        Self {
            introspector,
            verdicts: VerdictCache::reuse_or_new(previous, &issuers, &audience, capacity),
            issuers,
            audience,
            api_keys,
        }
    }

    /// The API keys, as the resource accepts them.
    pub(crate) const fn api_keys(&self) -> &ApiKeys {
        &self.api_keys
    }

    /// The issuers of the resource.
    pub(crate) fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// The issuer that is asked about its tokens: its name in the configuration, and the requirements for them.
    pub(crate) fn asked_issuer(&self) -> Option<(&str, &IssuerProfile)> {
        let introspector = self.introspector.as_ref()?;
        Some((introspector.endpoint.name(), &introspector.profile))
    }

    /// The same issuer, where it is the one that can judge this token.
    pub(crate) fn asked_about(&self, token: &BearerToken<'_>) -> Option<(&str, &IssuerProfile)> {
        match self.choose(token) {
            Ok(Choice::Introspection { .. }) => self.asked_issuer(),
            _ => None,
        }
    }

    /// The audiences of the resource.
    pub(crate) fn audience(&self) -> &[String] {
        &self.audience
    }

    /// The verdict of an earlier verification, if all that it rests on holds.
    ///
    /// # Errors
    /// The [`Reason`] why the token is refused without another verification.
    pub(crate) fn known(&self, question: &Question<'_>) -> Result<Option<Verdict>, Reason> {
        let Some(verdict) = self.verdicts.get(&question.digest) else {
            return Ok(None);
        };
        // By the wall clock alone, a token would live longer when that clock is set back.
        if verdict.freshness.is_over(question.started) {
            return Ok(None);
        }
        if !self.holds(verdict.freshness)? || verdict.is_over(question.started) {
            self.verdicts.remove(&question.digest);
            return Ok(None);
        }
        verdict.still_valid(question.now)?;
        Ok(Some(verdict))
    }

    /// Whether the issuer accepted the token when it was asked last, and is only to be asked again.
    pub(crate) fn was_accepted(&self, question: &Question<'_>) -> bool {
        let verdict = self.verdicts.get(&question.digest);
        verdict.is_some_and(|verdict| verdict.freshness.is_over(question.started))
    }

    /// The verdict on an API key that is accepted now, with no more work than a lookup; none for any other token. It is stored.
    pub(crate) fn accepted_api_key(&self, question: &Question<'_>) -> Option<Verdict> {
        if !is_api_key(question.token.expose()) {
            return None;
        }
        let evidence = self.api_keys.judge(&question.token, question.now).ok()?;
        let verdict = question.verdict(evidence, self.api_keys.freshness(), Duration::ZERO);
        self.verdicts.insert(question.digest, verdict.clone());
        Some(verdict)
    }

    /// Verifies a token, and stores the verdict.
    ///
    /// # Errors
    /// Why the token is refused, or why nobody can verify it now.
    pub(crate) async fn verify(&self, question: &Question<'_>) -> Result<Verdict, Refusal> {
        let verdict = match self.choose(&question.token)? {
            Choice::Jwt { token, issuer } => {
                let verdict = self.jwt(token, issuer)?.verify(question).await?;
                // It takes as long as the rest of a call. Others that are ready go first, and what the verified ones write follows closely: a
                // write after each verification would wake a peer that has fallen asleep meanwhile.
                tokio::task::yield_now().await;
                verdict
            }
            Choice::ApiKey(token) => {
                let evidence = self.api_keys.judge(&token, question.now)?;
                question.verdict(evidence, self.api_keys.freshness(), Duration::ZERO)
            }
            // It stores the verdict itself, and waits long: other calls are not to carry what it needs.
            Choice::Introspection { stated } => {
                return Box::pin(self.introspect(question, stated)).await;
            }
        };
        self.verdicts.insert(question.digest, verdict.clone());
        Ok(verdict)
    }

    /// Judges a token of an open stream again, without waiting: what it proves, and what that rests on. Nothing while nobody can decide.
    ///
    /// # Errors
    /// The [`Reason`] why it is refused now.
    pub(crate) fn judge_again(
        &self,
        token: &BearerToken<'_>,
        now: UnixTime,
    ) -> Result<(Option<Evidence>, Freshness), Reason> {
        match self.choose(token)? {
            Choice::Jwt { token, issuer } => self.jwt(token, issuer)?.judge_again(now),
            Choice::ApiKey(token) => {
                let evidence = self.api_keys.judge(&token, now)?;
                Ok((Some(evidence), self.api_keys.freshness()))
            }
            Choice::Introspection { .. } => {
                let until = Instant::now();
                Ok((None, Freshness::Asked { until }))
            }
        }
    }

    /// The questions about the token of a stream or call that begins with this verdict, where its issuer is asked.
    pub(crate) fn recheck(&self, question: &Question<'_>, verdict: &Verdict) -> Option<Recheck> {
        let introspector = self.introspector.as_ref()?;
        let interval = introspector.recheck_interval();
        // A verdict that was given meanwhile, and holds no longer, is not asked about at once.
        let times = Times::at_opening(Instant::now(), verdict, interval);
        let proved = verdict.evidence.binding;
        self.recheck_at(question, verdict.freshness, proved, times)
    }

    /// The same for an open stream that is judged again by these verifiers, where `judge_again` did not decide. `previous` are the questions
    /// until now.
    pub(crate) fn recheck_at_once(
        &self,
        question: &Question<'_>,
        freshness: Freshness,
        proved: Option<Binding>,
        previous: Option<&Recheck>,
    ) -> Option<Recheck> {
        let times = Times::at_once(question.started, previous.map(Recheck::answered));
        self.recheck_at(question, freshness, proved, times)
    }

    fn recheck_at(
        &self,
        question: &Question<'_>,
        freshness: Freshness,
        proved: Option<Binding>,
        times: Times,
    ) -> Option<Recheck> {
        let (Freshness::Asked { .. }, Some(introspector)) = (freshness, &self.introspector) else {
            return None;
        };
        let Ok(Choice::Introspection { stated }) = self.choose(&question.token) else {
            return None;
        };
        let question = (question, stated);
        Some(Recheck::new(
            introspector,
            &self.verdicts,
            question,
            proved,
            times,
        ))
    }

    fn choose<'a>(&self, token: &BearerToken<'a>) -> Result<Choice<'a>, Reason> {
        let asked = self.introspector.as_ref();
        let asked = asked.map(|introspector| &introspector.profile);
        choose(token, &self.issuers, asked)
    }

    async fn introspect(
        &self,
        question: &Question<'_>,
        stated: Option<Binding>,
    ) -> Result<Verdict, Refusal> {
        let introspector = self.introspector.as_ref().ok_or(Reason::MalformedToken)?;
        let question = (question, stated);
        introspector.verify(question, &self.verdicts).await
    }

    /// Whether both would give the same verdicts.
    pub(crate) fn verify_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.verdicts, &other.verdicts)
    }

    /// Changes when what a verdict rests on changes.
    pub(crate) fn changes(&self, freshness: Freshness) -> Option<watch::Receiver<()>> {
        let Freshness::Keys { issuer, .. } = freshness else {
            // For other kinds, the configuration is exchanged then, or the issuer is asked again.
            return None;
        };
        let trusted = self.issuers.get(issuer);
        trusted.map(|trusted| trusted.keys.changes())
    }

    /// Whether what a verdict rests on is still so.
    ///
    /// # Errors
    /// The [`Reason`] why nobody can say.
    pub(crate) fn holds(&self, freshness: Freshness) -> Result<bool, Reason> {
        let (issuer, generation) = match freshness {
            Freshness::Keys { issuer, generation } => (issuer, generation),
            Freshness::ApiKeys { .. } => return Ok(freshness == self.api_keys.freshness()),
            Freshness::Asked { .. } => return Ok(self.introspector.is_some()),
        };
        let Some(trusted) = self.issuers.get(issuer) else {
            return Ok(false);
        };
        let keys = trusted.keys.usable().ok_or(Reason::KeysUnavailable)?;
        Ok(generation == Some(keys.generation()))
    }

    fn jwt<'a>(&'a self, token: Unverified<'a>, issuer: usize) -> Result<Jwt<'a>, Reason> {
        let trusted = self.issuers.get(issuer).ok_or(Reason::WrongIssuer)?;
        Ok(Jwt {
            token,
            issuer,
            trusted,
            audience: &self.audience,
        })
    }
}
