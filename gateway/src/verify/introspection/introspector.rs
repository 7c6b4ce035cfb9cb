//! One issuer that is asked about its tokens, as one resource trusts it: what is expected of its answers, and what is remembered of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    http::client_address::CountedAddress,
    principal::Subject,
    refusal::Refusal,
    time::UnixTime,
    token::{
        evidence::{Evidence, binding::Binding},
        introspection::endpoint::Expected,
        issuer_profile::IssuerProfile,
    },
};

use super::{
    endpoint::Endpoint,
    flights::{Flight, Flights, outcome},
    no_list::NoList,
};
use crate::{
    clock,
    limits::accounts::Accounts,
    verify::{
        cache::{TokenDigest, VerdictCache},
        question::Question,
        verdict::{Freshness, Verdict},
    },
};

/// What the operator reads about a token that is bound to something else than its issuer says.
const OTHERWISE_BOUND: &str =
    "the token is active, but cnf in its payload is not that of the issuer's answer";

/// An issuer that is asked, as one resource trusts it.
#[derive(Debug)]
pub(crate) struct Introspector {
    pub(in crate::verify) profile: IssuerProfile,
    pub(in crate::verify) endpoint: Arc<Endpoint>,
    audience: Arc<[String]>,
    flights: Arc<Flights>,
    no_list: NoList,
}

/// A question of its own, which outlives the request that asks it.
#[derive(Clone)]
pub(super) struct Asked {
    token: Arc<str>,
    pub(super) digest: TokenDigest,
    /// What the token itself says that it is bound to.
    stated: Option<Binding>,
    address: Option<CountedAddress>,
    accounts: Arc<Accounts<Subject>>,
}

impl Asked {
    pub(super) fn of((question, stated): (&Question<'_>, Option<Binding>)) -> Self {
        Self {
            token: question.token.expose().into(),
            digest: question.digest,
            stated,
            address: question.address,
            accounts: question.accounts.clone(),
        }
    }
}

impl Asked {
    fn bound_as_stated(&self, evidence: Evidence) -> Result<Evidence, Refusal> {
        evidence.bound_as(self.stated).map_err(|reason| Refusal {
            detail: Some(OTHERWISE_BOUND.into()),
            ..reason.into()
        })
    }
}

impl Introspector {
    /// `previous`, if it would ask the same and judge the answers alike; else a new one that knows nothing yet.
    pub(in crate::verify) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        endpoint: Arc<Endpoint>,
        profile: IssuerProfile,
        audience: &Arc<[String]>,
    ) -> Arc<Self> {
        let is_same = |previous: &&Arc<Self>| {
            Arc::ptr_eq(&previous.endpoint, &endpoint)
                && previous.profile == profile
                && previous.audience == *audience
        };
        previous.filter(is_same).cloned().unwrap_or_else(|| {
            Arc::new(Self {
                profile,
                endpoint,
                audience: audience.clone(),
                flights: Arc::default(),
                no_list: NoList::default(),
            })
        })
    }

    /// The verdict on a token: its issuer is asked, unless it said no a moment ago.
    ///
    /// # Errors
    /// Why the token is refused, or why nobody can say now.
    pub(in crate::verify) async fn verify(
        self: &Arc<Self>,
        (question, stated): (&Question<'_>, Option<Binding>),
        verdicts: &Arc<VerdictCache>,
    ) -> Result<Verdict, Refusal> {
        if let Some(no) = self.no_list.get(&question.digest, question.started) {
            self.endpoint.note("remembered");
            return Err(no);
        }
        let flight = self.begin(|| Asked::of((question, stated)), &question.digest, verdicts)?;
        outcome(flight).await
    }

    /// The question about a token that is under way, or a new one.
    ///
    /// # Errors
    /// No question can be asked now.
    pub(super) fn begin(
        self: &Arc<Self>,
        asked: impl FnOnce() -> Asked,
        digest: &TokenDigest,
        verdicts: &Arc<VerdictCache>,
    ) -> Result<Flight, Refusal> {
        self.flights.join(digest, || {
            let asked = asked();
            let call = self.endpoint.call(&asked.digest, asked.address)?;
            let (own, verdicts) = (self.clone(), verdicts.clone());
            Ok(async move {
                let began = Instant::now();
                let judged = call.ask(&asked.token, &own.expected()).await;
                let judged = judged.and_then(|evidence| asked.bound_as_stated(evidence));
                own.settle(&asked, judged, began, &verdicts)
            })
        })
    }

    /// Remembers what was found, before the next question about the token can begin.
    fn settle(
        &self,
        asked: &Asked,
        judged: Result<Evidence, Refusal>,
        began: Instant,
        verdicts: &VerdictCache,
    ) -> Result<Verdict, Refusal> {
        let settings = &self.endpoint.introspection().settings;
        match judged {
            Ok(evidence) => {
                let verdict = self.verdict(asked, evidence, began);
                verdicts.insert(asked.digest, verdict.clone());
                Ok(verdict)
            }
            Err(refusal) if refusal.reason.status() == 401 => {
                verdicts.remove(&asked.digest);
                let until = began + settings.negative_cache;
                self.no_list.insert(asked.digest, until, refusal.reason);
                Err(refusal)
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn verdict(&self, asked: &Asked, evidence: Evidence, began: Instant) -> Verdict {
        let (now, skew) = (clock::now(), self.profile.clock_skew);
        let left = |end: UnixTime| end.since(now);
        let holds = self.endpoint.introspection().settings.cache;
        Verdict {
            freshness: Freshness::Asked {
                until: began + holds.min(left(evidence.expires)),
            },
            deadline: Verdict::deadline(began, left(evidence.expires.plus(skew))),
            account: asked.accounts.of(evidence.principal.subject()),
            clock_skew: skew,
            asker: Arc::default(),
            identity: Arc::default(),
            evidence,
        }
    }

    /// How long an open stream needs no other question.
    pub(in crate::verify) fn recheck_interval(&self) -> Duration {
        self.endpoint.introspection().settings.recheck
    }

    fn expected(&self) -> Expected<'_> {
        let introspection = self.endpoint.introspection();
        Expected {
            kind: introspection.kind,
            profile: &self.profile,
            resource: &self.audience,
            client_ids: &introspection.client_ids,
        }
    }
}
