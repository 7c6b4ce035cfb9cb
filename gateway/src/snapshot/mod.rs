//! The configuration made ready for requests: built whole, checked whole, exchanged whole.
//!
//! A [`Snapshot`] holds everything a request needs to be decided, with nothing left to look up, parse or build. It is
//! never changed; a request loads it once and keeps it to its end.

mod predecessor;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    cel::kept_claims::ClaimNames,
    http::{
        authority::{Authority, Scheme},
        origin::Origins,
        resource_metadata::well_known_path,
    },
    json::JsonLimits,
    mcp::{supported::Supported, tasks::Tasks},
    policy::Policy,
    rate::{Limiter, Per, RateLimit, token_bucket::Rate},
    refusal::challenge::Challenger,
    seal::{Sealer, SealingKeyError},
    time::UnixTime,
    token::{issuer_profile::IssuerProfile, jwt::Verified},
};
use quick_cache::sync::Cache;
use thiserror::Error;

use crate::{
    config::{
        Addresses, Config, IdentityHeaders, Issuer, Limits, RequestState, Resource, Shutdown,
        Timeouts,
        files::{self, FileError},
    },
    fetch::client::FetchError,
    limits::{body_budget, overload::memory, rate_limiter},
    local::documents::Documents,
    telemetry::metrics::Metrics,
    upstream::{Upstream, UpstreamError},
    verify::keys::IssuerKeys,
};
pub(crate) use predecessor::Predecessor;

/// The keys of every configured issuer, by its name in the configuration.
pub(crate) type Keys = BTreeMap<String, Arc<IssuerKeys>>;

/// Tokens verified for one resource, by their SHA-256.
pub(crate) type VerifiedTokens = Cache<[u8; 32], Verdict>;

/// Why a checked configuration cannot be put to use.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    #[error("resource {path}: {error}")]
    Upstream { path: String, error: UpstreamError },
    #[error("issuer {name}: {error}")]
    Issuer { name: String, error: FetchError },
    #[error("the session key {} {error}", path.display())]
    SessionKey { path: PathBuf, error: FileError },
    #[error("no sealing key: {0}")]
    Sealing(#[from] SealingKeyError),
}

/// Everything that decides a request.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) scheme: Scheme,
    pub(crate) origins: Origins,
    pub(crate) documents: Documents,
    pub(crate) addresses: Addresses,
    pub(crate) limits: Limits,
    /// Bytes that all bodies held whole may take together.
    pub(crate) bodies: usize,
    pub(crate) timeouts: Timeouts,
    pub(crate) shutdown: Shutdown,
    pub(crate) json: JsonLimits,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) keys: Keys,
    /// How often each principal may open a legacy session.
    pub(crate) initializations: Limiter,
    hosts: HashSet<Authority>,
    /// By path, then by host; a resource without a host answers on every host served.
    resources: HashMap<String, Vec<Arc<Protected>>>,
}

/// One protected resource.
#[derive(Debug)]
pub(crate) struct Protected {
    /// Metric label: the path, with the host before it where one is configured.
    pub(crate) label: String,
    /// The resource URI (RFC 8707).
    pub(crate) uri: String,
    pub(crate) host: Option<Authority>,
    pub(crate) issuers: Vec<Trusted>,
    pub(crate) audience: Vec<String>,
    pub(crate) policy: Policy,
    pub(crate) rate_limits: Vec<Limiter>,
    pub(crate) challenger: Challenger,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) tasks: Tasks,
    pub(crate) request_state: RequestState,
    pub(crate) identity_headers: IdentityHeaders,
    /// How long the upstream's response head may take.
    pub(crate) response_head: Duration,
    /// The protocol versions listed; without a list the upstream decides.
    pub(crate) supported: Option<Supported>,
    pub(crate) verified: Arc<VerifiedTokens>,
}

/// An issuer as one resource trusts it.
#[derive(Debug)]
pub(crate) struct Trusted {
    pub(crate) profile: IssuerProfile,
    pub(crate) keys: Arc<IssuerKeys>,
}

/// A cached verification. Void once its issuer's key set has lost or altered a key.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) verified: Verified,
    /// Index into [`Protected::issuers`].
    pub(crate) issuer: usize,
    pub(crate) generation: u64,
    /// When the token's life is over by a clock that nobody sets; never, where that lies beyond all clocks.
    pub(crate) until: Option<Instant>,
}

impl Verdict {
    /// The end of a life that is `left` long at `now`.
    pub(crate) fn until(now: Instant, left: Duration) -> Option<Instant> {
        now.checked_add(left)
    }

    /// Whether the token's life is over, wherever the wall clock was set meanwhile.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// When the token has expired for everybody, clock skew included.
    pub(crate) fn ends(&self, resource: &Protected) -> UnixTime {
        let trusted = resource.issuers.get(self.issuer);
        let skew = trusted.map_or(Duration::ZERO, |trusted| trusted.profile.clock_skew);
        self.verified.expires.plus(skew)
    }
}

impl Snapshot {
    /// Makes `config` ready, with what goes on from the snapshot before.
    ///
    /// # Errors
    /// A file that was there when the configuration was checked cannot be used any more.
    pub(crate) fn build(
        config: &Config,
        metrics: &Arc<Metrics>,
        before: Option<Predecessor<'_>>,
    ) -> Result<Self, SnapshotError> {
        let keys = keys(config, metrics, before)?;
        let mut resources: HashMap<String, Vec<Arc<Protected>>> = HashMap::new();
        for resource in &config.resources {
            let protected = Arc::new(Protected::build(config, resource, &keys, before)?);
            resources
                .entry(resource.path.clone())
                .or_default()
                .push(protected);
        }
        // The one with a host goes before the one without, which is for every other host.
        for sharing in resources.values_mut() {
            sharing.sort_by_key(|protected| protected.host.is_none());
        }
        Ok(Self {
            scheme: config.public_url.scheme(),
            origins: Origins::new(config.public_url.origin(), config.origins.clone()),
            documents: Documents::new(config),
            addresses: config.addresses.clone(),
            limits: config.limits,
            bodies: bodies(&config.limits),
            timeouts: config.timeouts,
            shutdown: config.shutdown,
            json: JsonLimits {
                depth: config.limits.json_depth,
                members: config.limits.json_members,
            },
            sealer: sealer(config, before)?,
            keys,
            initializations: initializations(config, before),
            hosts: hosts(config),
            resources,
        })
    }

    /// Whether requests for this authority are served.
    pub(crate) fn serves(&self, host: &Authority) -> bool {
        self.hosts.contains(host)
    }

    /// Whether a connection opened for `server_name` is one for another host than `host` (RFC 9110 §15.5.20). Names that
    /// are not served here are not judged: behind a load balancer, clients name whatever it is known by. Nor does the
    /// certificate matter: that it covers both hosts, by a wildcard perhaps, does not make them one.
    pub(crate) fn is_another_host(&self, server_name: &str, host: &Authority) -> bool {
        !server_name.eq_ignore_ascii_case(host.host())
            && self
                .hosts
                .iter()
                .any(|served| server_name.eq_ignore_ascii_case(served.host()))
    }

    /// The resource at exactly this path of this host.
    pub(crate) fn resource(&self, host: &Authority, path: &str) -> Option<&Arc<Protected>> {
        self.resources
            .get(path)?
            .iter()
            .find(|resource| resource.host.as_ref().is_none_or(|own| own == host))
    }
}

impl Protected {
    fn build(
        config: &Config,
        resource: &Resource,
        keys: &Keys,
        before: Option<Predecessor<'_>>,
    ) -> Result<Self, SnapshotError> {
        let kept = before.and_then(|before| before.upstream(config, resource));
        let upstream = kept.map_or_else(|| upstream(config, resource), Ok)?;
        let trusted = resource.issuers.iter().filter_map(|name| {
            Some(Trusted {
                profile: profile(config.issuers.get(name)?, resource.policy.claims_read()),
                keys: keys.get(name)?.clone(),
            })
        });
        let trusted: Vec<_> = trusted.collect();
        let verified = before.and_then(|before| before.verified(config, resource, &trusted));
        Ok(Self {
            label: label(resource),
            uri: resource.uri.clone(),
            host: resource.host.clone(),
            issuers: trusted,
            audience: resource.audience.clone(),
            policy: resource.policy.clone(),
            rate_limits: rate_limits(resource, before),
            challenger: challenger(config, resource),
            upstream,
            tasks: resource.tasks,
            request_state: resource.request_state,
            identity_headers: resource.identity_headers.clone(),
            response_head: resource.response_head,
            supported: resource.supported.clone(),
            verified: verified
                .unwrap_or_else(|| Arc::new(Cache::new(config.limits.verified_tokens))),
        })
    }
}

fn keys(
    config: &Config,
    metrics: &Arc<Metrics>,
    before: Option<Predecessor<'_>>,
) -> Result<Keys, SnapshotError> {
    let keys = config.issuers.iter().map(|(name, issuer)| {
        if let Some(kept) = before.and_then(|before| before.keys(issuer, &config.jwks)) {
            return Ok((name.clone(), kept));
        }
        let keys = IssuerKeys::new(issuer.clone(), config.jwks, metrics.clone());
        let keys = keys.map_err(|error| SnapshotError::Issuer {
            name: name.clone(),
            error,
        })?;
        Ok((name.clone(), Arc::new(keys)))
    });
    keys.collect()
}

fn upstream(config: &Config, resource: &Resource) -> Result<Arc<Upstream>, SnapshotError> {
    let upstream = Upstream::new(&resource.upstream, &config.timeouts);
    upstream
        .map(Arc::new)
        .map_err(|error| SnapshotError::Upstream {
            path: resource.path.clone(),
            error,
        })
}

/// The limits of a resource, those that are unchanged with their buckets.
fn rate_limits(resource: &Resource, before: Option<Predecessor<'_>>) -> Vec<Limiter> {
    let limiters = resource.rate_limits.iter().map(|limit| {
        let kept = before.and_then(|before| before.rate_limit(resource, limit));
        kept.unwrap_or_else(|| rate_limiter::limiter(limit.clone()))
    });
    limiters.collect()
}

fn initializations(config: &Config, before: Option<Predecessor<'_>>) -> Limiter {
    const MINUTE: Duration = Duration::from_secs(60);
    let count = config.limits.initializations_per_principal;
    let limit = RateLimit {
        per: Per::Principal,
        rate: Rate::new(count, MINUTE, count),
        methods: vec!["initialize".to_owned()],
        names: Vec::new(),
    };
    let kept = before.and_then(|before| before.initializations(&limit));
    kept.unwrap_or_else(|| rate_limiter::limiter(limit))
}

fn bodies(limits: &Limits) -> usize {
    let memory = || limits.memory.or_else(memory::cgroup_limit);
    let configured = limits.bodies_bytes;
    configured.unwrap_or_else(|| body_budget::default_limit(memory()))
}

fn label(resource: &Resource) -> String {
    resource.host.as_ref().map_or_else(
        || resource.path.clone(),
        |host| format!("{host}{}", resource.path),
    )
}

/// Writes the challenges of this resource.
pub(crate) fn challenger(config: &Config, resource: &Resource) -> Challenger {
    let base = resource.uri.strip_suffix(&resource.path);
    let path = well_known_path(&resource.path);
    let url = base.map_or_else(
        || config.public_url.join(&path),
        |base| format!("{base}{path}"),
    );
    Challenger::new(&url, &resource.policy.hinted_scopes())
}

/// What this issuer's tokens look like.
pub(crate) fn profile(issuer: &Issuer, kept_claims: ClaimNames) -> IssuerProfile {
    IssuerProfile {
        issuer: issuer.issuer.as_str().into(),
        token_types: issuer.token_types.clone(),
        algorithms: issuer.algorithms.clone(),
        scope_claims: issuer.scope_claims.clone(),
        subject_claim: issuer.subject_claim.clone(),
        clock_skew: issuer.clock_skew,
        max_lifetime: issuer.max_lifetime,
        ignored_headers: issuer.ignored_headers.clone(),
        kept_claims,
    }
}

fn hosts(config: &Config) -> HashSet<Authority> {
    let scheme = config.public_url.scheme();
    let of_resources = config
        .resources
        .iter()
        .filter_map(|resource| resource.host.clone());
    std::iter::once(config.public_url.authority.clone())
        .chain(config.hosts.iter().cloned())
        .chain(of_resources)
        .map(|host| host.for_scheme(scheme))
        .collect()
}

fn sealer(config: &Config, before: Option<Predecessor<'_>>) -> Result<Arc<Sealer>, SnapshotError> {
    if let Some(kept) = before.and_then(|before| before.sealer(config)) {
        return Ok(kept);
    }
    let keys = config.sessions.key_files.iter().map(|path| {
        files::sealing_key(path).map_err(|error| SnapshotError::SessionKey {
            path: path.clone(),
            error,
        })
    });
    Ok(Arc::new(Sealer::new(keys.collect::<Result<_, _>>()?)?))
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::{cel::kept_claims::KeptClaims, principal::Principal, scope::ScopeSet};

    use super::*;

    fn verdict(until: Option<Instant>) -> Verdict {
        let principal = Principal {
            issuer: "https://issuer.test/".into(),
            subject: "alice".into(),
            client: None,
            scopes: ScopeSet::default(),
        };
        Verdict {
            verified: Verified {
                principal: Arc::new(principal),
                claims: KeptClaims::none(),
                expires: UnixTime::new(1000),
                not_before: None,
            },
            issuer: 0,
            generation: 0,
            until,
        }
    }

    #[test]
    fn a_wall_clock_set_back_does_not_prolong_a_verdict() {
        let (began, left) = (Instant::now(), Duration::from_secs(60));
        let kept = verdict(Verdict::until(began, left));
        // An hour back, the wall clock says that it still stands.
        let set_back = UnixTime::new(1000 - 60 - 3600);
        assert_eq!(kept.verified.still_valid(Duration::ZERO, set_back), Ok(()));
        assert!(!kept.is_over(began + left - Duration::from_secs(1)));
        assert!(kept.is_over(began + left));
        assert!(!verdict(Verdict::until(began, Duration::MAX)).is_over(began + left));
    }
}
