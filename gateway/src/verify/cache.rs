//! The recent verdicts of one resource, so that their tokens are not verified again.
//!
//! A verdict is void when what it rests on has changed, and when its token has expired by either clock. Permissions are not
//! cached: the policy decides at each request.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{trusted_issuer::TrustedIssuer, verdict::Verdict};

/// A token's SHA-256.
pub(crate) type TokenDigest = [u8; 32];

/// The verdicts of one resource, and what they were given against.
#[derive(Debug)]
pub(super) struct VerdictCache {
    cache: Cache<TokenDigest, Verdict>,
    /// The most verdicts that are stored (`limits.verified_tokens`).
    capacity: usize,
    issuers: Arc<[TrustedIssuer]>,
    audience: Arc<[String]>,
}

impl VerdictCache {
    /// `previous`, if each of its verdicts would be the same now; else an empty cache for `capacity` verdicts.
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

    /// The verdict on the token with this digest, if there is one. The caller checks whether it still holds.
    pub(super) fn get(&self, digest: &TokenDigest) -> Option<Verdict> {
        self.cache.get(digest)
    }

    /// Stores a verdict, and removes another one if there is no room.
    pub(super) fn insert(&self, digest: TokenDigest, verdict: Verdict) {
        self.cache.insert(digest, verdict);
    }

    /// Removes a verdict that does not hold any more.
    pub(super) fn remove(&self, digest: &TokenDigest) {
        self.cache.remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path, time::Duration};

    use mcp_gateway_core::{
        cel::kept_claims::MemberNames, scope_prefix::ScopePrefixes,
        token::issuer_profile::IssuerProfile,
    };

    use super::*;
    use crate::{
        config::{Environment, Issuer, Jwks, KeySource, parse},
        issuer_keys::keys::IssuerKeys,
        telemetry::metrics::Metrics,
    };

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
        let old = VerdictCache::reuse_or_new(None, &[issuer(&keys)].into(), &audience, CAPACITY);
        let is_reused = |issuers: Vec<TrustedIssuer>, audience: &Arc<[String]>, capacity| {
            let issuers = issuers.into();
            let new = VerdictCache::reuse_or_new(Some(&old), &issuers, audience, capacity);
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
