//! The recently verified tokens of one resource, so that their signatures are not verified again.
//!
//! A cached token is void when its issuer's key set has lost or changed a key, and when it has expired by either clock. Its
//! permissions are not cached: the policy decides at each request.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{time::UnixTime, token::jwt::Verified};
use quick_cache::sync::Cache;

use super::trusted_issuer::TrustedIssuer;
use crate::{authorization_server::revocations::Revocations, limits::accounts::SubjectAccount};

/// A token's SHA-256.
pub(crate) type TokenDigest = [u8; 32];

/// The outcome of a verification.
#[derive(Clone, Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) verified: Verified,
    /// The account of its subject.
    pub(crate) account: Arc<SubjectAccount>,
    /// Index into the resource's issuers.
    pub(crate) issuer: usize,
    /// The generation of the issuer's keys that verified it.
    pub(crate) generation: u64,
    /// When the token expires by a clock that cannot be set; none if that is out of the clock's range.
    pub(crate) deadline: Option<Instant>,
}

impl VerifiedToken {
    /// The deadline of a token that is valid for `left` from `now` on.
    pub(crate) fn deadline(now: Instant, left: Duration) -> Option<Instant> {
        now.checked_add(left)
    }

    /// Whether the token has expired, even if the wall clock was set back.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// Whether its grant has ended.
    pub(crate) fn is_revoked(&self, revocations: &Revocations) -> bool {
        let grant = self.verified.grant.as_ref();
        grant.is_some_and(|grant| revocations.is_revoked(grant))
    }

    /// When the token has expired for the resource with these `issuers`, clock skew included.
    pub(crate) fn expires_at(&self, issuers: &[TrustedIssuer]) -> UnixTime {
        let issuer = issuers.get(self.issuer);
        let skew = issuer.map_or(Duration::ZERO, |issuer| issuer.profile.clock_skew);
        self.verified.expires.plus(skew)
    }
}

/// The verified tokens of one resource, and what they were verified against.
#[derive(Debug)]
pub(crate) struct VerifiedTokens {
    cache: Cache<TokenDigest, VerifiedToken>,
    /// The most tokens that are stored (`limits.verified_tokens`).
    capacity: usize,
    issuers: Arc<[TrustedIssuer]>,
    audience: Arc<[String]>,
}

impl VerifiedTokens {
    /// `previous`, if each of its tokens would be verified with the same result now; else an empty cache for `capacity`
    /// tokens.
    pub(super) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        issuers: &Arc<[TrustedIssuer]>,
        audience: &Arc<[String]>,
        capacity: usize,
    ) -> Arc<Self> {
        let is_same = |previous: &&Arc<Self>| {
            previous.capacity == capacity
                && previous.audience == *audience
                && previous.issuers.len() == issuers.len()
                && previous
                    .issuers
                    .iter()
                    .zip(&**issuers)
                    .all(|(old, new)| old.verifies_like(new))
        };
        previous.filter(is_same).cloned().unwrap_or_else(|| {
            Arc::new(Self {
                cache: Cache::new(capacity),
                capacity,
                issuers: issuers.clone(),
                audience: audience.clone(),
            })
        })
    }

    /// The token with this digest, if it was verified before. The caller checks whether it is still valid.
    pub(crate) fn get(&self, digest: &TokenDigest) -> Option<VerifiedToken> {
        self.cache.get(digest)
    }

    /// Stores a token, and removes another one if there is no room.
    pub(crate) fn insert(&self, digest: TokenDigest, token: VerifiedToken) {
        self.cache.insert(digest, token);
    }

    /// Removes a token whose verification is not valid any more.
    pub(crate) fn remove(&self, digest: &TokenDigest) {
        self.cache.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use mcp_gateway_core::{
        cel::kept_claims::{KeptClaims, MemberNames},
        principal::Principal,
        scope::ScopeSet,
        scope_prefix::ScopePrefixes,
        token::issuer_profile::IssuerProfile,
    };

    use super::*;
    use crate::{
        config::{Environment, Issuer, Jwks, KeySource, parse},
        issuer_keys::keys::IssuerKeys,
        limits::accounts::Accounts,
        telemetry::metrics::Metrics,
    };

    fn token(deadline: Option<Instant>) -> VerifiedToken {
        let principal = Principal {
            issuer: "https://issuer.test/".into(),
            subject: "alice".into(),
            client: None,
            scopes: ScopeSet::default(),
        };
        VerifiedToken {
            account: Arc::<Accounts<_>>::default().of(principal.subject()),
            verified: Verified {
                principal: Arc::new(principal),
                claims: KeptClaims::none(),
                expires: UnixTime::new(1000),
                not_before: None,
                grant: None,
            },
            issuer: 0,
            generation: 0,
            deadline,
        }
    }

    #[test]
    fn a_wall_clock_set_back_does_not_prolong_a_verified_token() {
        let (began, left) = (Instant::now(), Duration::from_secs(60));
        let kept = token(VerifiedToken::deadline(began, left));
        // With the wall clock set back by an hour, it seems to be valid still.
        let set_back = UnixTime::new(1000 - 60 - 3600);
        assert_eq!(kept.verified.still_valid(Duration::ZERO, set_back), Ok(()));
        assert!(!kept.is_over(began + left - Duration::from_secs(1)));
        assert!(kept.is_over(began + left));
        assert!(!token(VerifiedToken::deadline(began, Duration::MAX)).is_over(began + left));
    }

    #[test]
    fn a_verified_token_is_revoked_with_its_grant() {
        let revocations = Revocations::default();
        let of = |grant| {
            let mut token = token(None);
            token.verified.grant = grant;
            token
        };
        let (ended, other) = (of(Some([1; 16])), of(Some([2; 16])));
        assert!(!ended.is_revoked(&revocations));
        let entry = [([1; 16], UnixTime::new(1000))];
        revocations.revoke(entry, UnixTime::new(0));
        assert!(ended.is_revoked(&revocations) && !other.is_revoked(&revocations));
        assert!(!of(None).is_revoked(&revocations));
    }

    fn keys() -> Arc<IssuerKeys> {
        let text = "public_url: http://127.0.0.1:1\nlisten: [{ address: '127.0.0.1:1' }]\n\
            issuers: { a: { issuer: 'https://a.example' } }\n\
            resources: [{ path: /mcp, upstream: 'http://127.0.0.1:9/mcp', issuers: [a], policy: { default: allow } }]\n";
        let config = parse(text, Path::new(""), &Environment::default()).unwrap();
        let issuer = Issuer {
            keys: KeySource::File("keys.json".into()),
            ..config.issuers["a"].clone()
        };
        let metrics = Arc::new(Metrics::new().unwrap());
        IssuerKeys::reuse_or_new(None, &issuer, Jwks::default(), &metrics, &BTreeSet::new())
            .unwrap()
    }

    fn issuer(keys: &Arc<IssuerKeys>) -> TrustedIssuer {
        TrustedIssuer {
            profile: IssuerProfile::new("https://a.example"),
            keys: keys.clone(),
        }
    }

    #[test]
    fn verified_tokens_are_reused_unless_their_verification_would_differ() {
        const CAPACITY: usize = 100;
        let keys = keys();
        let audience: Arc<[String]> = ["https://mcp.example/mcp".to_owned()].into();
        let old = VerifiedTokens::reuse_or_new(None, &[issuer(&keys)].into(), &audience, CAPACITY);
        let is_reused = |issuers: Vec<TrustedIssuer>, audience: &Arc<[String]>, capacity| {
            let issuers = issuers.into();
            let new = VerifiedTokens::reuse_or_new(Some(&old), &issuers, audience, capacity);
            Arc::ptr_eq(&old, &new)
        };
        assert!(is_reused(vec![issuer(&keys)], &audience, CAPACITY));

        assert!(!is_reused(vec![issuer(&keys)], &audience, CAPACITY + 1));
        let another = ["https://mcp.example/other".to_owned()].into();
        assert!(!is_reused(vec![issuer(&keys)], &another, CAPACITY));
        assert!(!is_reused(vec![], &audience, CAPACITY));
        let two = vec![issuer(&keys), issuer(&keys)];
        assert!(!is_reused(two, &audience, CAPACITY));
        let with_other_keys = vec![issuer(&self::keys())];
        assert!(!is_reused(with_other_keys, &audience, CAPACITY));
        let changes: [fn(&mut IssuerProfile); 10] = [
            |profile| profile.names_grants = true,
            |profile| profile.clock_skew = Duration::from_secs(9),
            |profile| profile.kept_claims = MemberNames::All,
            |profile| profile.token_types.clear(),
            |profile| profile.tenant = Some("a".into()),
            |profile| profile.names = [].into(),
            |profile| profile.scope_prefixes = ScopePrefixes::new(&["a:".to_owned()]).unwrap(),
            |profile| profile.scope_claims.truncate(1),
            |profile| profile.client_claims.truncate(1),
            |profile| profile.algorithms.truncate(1),
        ];
        for change in changes {
            let mut other = issuer(&keys);
            change(&mut other.profile);
            assert!(!is_reused(vec![other], &audience, CAPACITY));
        }
    }
}
