//! The outcome of a verification, and what it rests on: a cache may store it as long as that holds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    http::forwarding::identity::Identity, policy::decision_point::asker::Asker,
    refusal::reason::Reason, time::UnixTime, token::evidence::Evidence,
};

use crate::{authorization_server::revocations::Revocations, limits::accounts::SubjectAccount};

/// What a verdict rests on. While it holds, the verdict needs no verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The keys of an issuer.
    Keys {
        /// Index into the resource's issuers.
        issuer: usize,
        /// The generation of the issuer's keys that verified the token; none where no keys were available.
        generation: Option<u64>,
    },
    /// The API keys, and how the resource accepts them.
    ApiKeys {
        /// Which of them, counted by their changes.
        generation: u64,
    },
    /// What the issuer said when it was asked.
    Asked {
        /// When it is asked again.
        until: Instant,
    },
}

impl Freshness {
    /// Whether it holds no longer than until `now`, whatever happened.
    pub(crate) fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::Asked { until } if now >= until)
    }
}

/// The outcome of a verification.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) evidence: Evidence,
    /// What its questions to a decision point begin with.
    pub(crate) asker: Arc<Asker>,
    /// The caller's identity as headers for the upstream.
    pub(crate) identity: Arc<Identity>,
    /// The account of its subject.
    pub(crate) account: Arc<SubjectAccount>,
    pub(crate) freshness: Freshness,
    /// How far the clock of the issuer and the gateway's may differ.
    pub(crate) clock_skew: Duration,
    /// When the token expires by a clock that cannot be set; none if that is out of the clock's range.
    pub(crate) deadline: Option<Instant>,
}

/// A verdict, and whether it was known before the request.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) is_known: bool,
}

impl Verdict {
    /// The deadline of a token that is valid for `left` from `now` on.
    pub(crate) fn deadline(now: Instant, left: Duration) -> Option<Instant> {
        now.checked_add(left)
    }

    /// Whether the token has expired, even if the wall clock was set back.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Checks the times of the token again.
    ///
    /// # Errors
    /// [`Reason::Expired`] or [`Reason::NotYetValid`].
    pub(crate) fn still_valid(&self, now: UnixTime) -> Result<(), Reason> {
        self.evidence.still_valid(self.clock_skew, now)
    }

    /// Whether its grant has ended.
    pub(crate) fn is_revoked(&self, revocations: &Revocations) -> bool {
        let grant = self.evidence.grant.as_ref();
        grant.is_some_and(|grant| revocations.is_revoked(grant))
    }

    /// When the token has expired, clock skew included.
    pub(crate) fn expires_at(&self) -> UnixTime {
        self.evidence.expires.plus(self.clock_skew)
    }
}

/// A verdict for tests.
#[cfg(test)]
pub(super) mod testing {
    use mcp_gateway_core::{cel::kept_claims::KeptClaims, principal::Principal, scope::ScopeSet};

    use super::*;
    use crate::limits::accounts::Accounts;

    /// A verdict on a token of alice that expires at 1000, which rests on this.
    pub(in crate::verify) fn verdict(freshness: Freshness, deadline: Option<Instant>) -> Verdict {
        let principal = Principal {
            issuer: "https://issuer.test/".into(),
            subject: "alice".into(),
            client: None,
            scopes: ScopeSet::default(),
        };
        Verdict {
            account: Arc::<Accounts<_>>::default().of(principal.subject()),
            evidence: Evidence {
                principal: Arc::new(principal),
                claims: KeptClaims::none(),
                expires: UnixTime::new(1000),
                not_before: None,
                grant: None,
                binding: None,
            },
            asker: Arc::default(),
            identity: Arc::default(),
            freshness,
            clock_skew: Duration::ZERO,
            deadline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::verdict as resting_on, *};

    fn verdict(deadline: Option<Instant>) -> Verdict {
        let keys = Freshness::Keys {
            issuer: 0,
            generation: Some(0),
        };
        resting_on(keys, deadline)
    }

    #[test]
    fn a_wall_clock_set_back_does_not_prolong_a_verified_token() {
        let (began, left) = (Instant::now(), Duration::from_secs(60));
        let kept = verdict(Verdict::deadline(began, left));
        // With the wall clock set back by an hour, it seems to be valid still.
        let set_back = UnixTime::new(1000 - 60 - 3600);
        assert_eq!(kept.still_valid(set_back), Ok(()));
        assert!(!kept.is_over(began + left - Duration::from_secs(1)));
        assert!(kept.is_over(began + left));
        assert!(!verdict(Verdict::deadline(began, Duration::MAX)).is_over(began + left));
    }

    #[test]
    fn a_verified_token_is_revoked_with_its_grant() {
        let revocations = Revocations::default();
        let of = |grant| {
            let mut token = verdict(None);
            token.evidence.grant = grant;
            token
        };
        let (ended, other) = (of(Some([1; 16])), of(Some([2; 16])));
        assert!(!ended.is_revoked(&revocations));
        let entry = [([1; 16], UnixTime::new(1000))];
        revocations.revoke(entry, UnixTime::new(0));
        assert!(ended.is_revoked(&revocations) && !other.is_revoked(&revocations));
        assert!(!of(None).is_revoked(&revocations));
    }
}
