//! What goes on from one snapshot to the next. Whatever a change does not touch is kept: connections to upstreams, keys of
//! issuers, verified tokens, what rate limits have counted, and the random key that seals sessions.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use mcp_gateway_core::{
    rate::{Limiter, RateLimit},
    seal::Sealer,
};

use super::{Protected, Snapshot, Trusted, VerifiedTokens};
use crate::{
    config::{Config, Issuer, Jwks, Resource, UpstreamTarget},
    upstream::Upstream,
    verify::keys::IssuerKeys,
};

/// The snapshot that is in use while the next one is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Predecessor<'a> {
    /// What it was made of.
    pub(crate) config: &'a Config,
    /// The snapshot itself.
    pub(crate) snapshot: &'a Snapshot,
    /// Files with another content than then.
    pub(crate) changed: &'a BTreeSet<PathBuf>,
}

impl Predecessor<'_> {
    /// The keys of an issuer that has them where it had them. Without them the first requests would have to wait.
    pub(super) fn keys(&self, issuer: &Issuer, settings: &Jwks) -> Option<Arc<IssuerKeys>> {
        let keys = self.snapshot.keys.get(&issuer.name)?;
        if !keys.are_of(issuer) || self.has_changed(issuer.ca_file.as_deref()) {
            return None;
        }
        if keys.settings() == settings {
            Some(keys.clone())
        } else {
            Some(Arc::new(keys.with_settings(*settings)))
        }
    }

    /// The upstream of a resource whose upstream is the same, with its open connections.
    pub(super) fn upstream(&self, config: &Config, resource: &Resource) -> Option<Arc<Upstream>> {
        let (before, protected) = self.resource(resource)?;
        let ca_file = match &resource.upstream.target {
            UpstreamTarget::Https { ca_file, .. } => ca_file.as_deref(),
            UpstreamTarget::Http { .. } | UpstreamTarget::Unix { .. } => None,
        };
        let (old, new) = (&self.config.timeouts, &config.timeouts);
        let is_same = before.upstream == resource.upstream
            && old.upstream_connect == new.upstream_connect
            && old.upstream_keep_alive == new.upstream_keep_alive
            && !self.has_changed(ca_file);
        is_same.then(|| protected.upstream.clone())
    }

    /// The tokens verified for a resource that would verify them alike. What a token may do is decided at each request.
    pub(super) fn verified(
        &self,
        config: &Config,
        resource: &Resource,
        trusted: &[Trusted],
    ) -> Option<Arc<VerifiedTokens>> {
        let (before, protected) = self.resource(resource)?;
        let issuers = |config: &Config, names: &[String]| -> Vec<Option<Issuer>> {
            let named = names.iter().map(|name| config.issuers.get(name).cloned());
            named.collect()
        };
        let is_same = before.audience == resource.audience
            && issuers(self.config, &before.issuers) == issuers(config, &resource.issuers)
            && self.config.limits.verified_tokens == config.limits.verified_tokens
            && protected.issuers.len() == trusted.len()
            && protected.issuers.iter().zip(trusted).all(|(old, new)| {
                Arc::ptr_eq(&old.keys, &new.keys)
                    && old.profile.kept_claims == new.profile.kept_claims
            });
        is_same.then(|| protected.verified.clone())
    }

    /// A rate limit of a resource that says what it said: a reload is no way to begin anew.
    pub(super) fn rate_limit(&self, resource: &Resource, limit: &RateLimit) -> Option<Limiter> {
        let (_, protected) = self.resource(resource)?;
        let same = |limiter: &&Limiter| limiter.limit == *limit;
        protected.rate_limits.iter().find(same).cloned()
    }

    /// The limit on legacy sessions, where it is what it was.
    pub(super) fn initializations(&self, limit: &RateLimit) -> Option<Limiter> {
        let before = &self.snapshot.initializations;
        (before.limit == *limit).then(|| before.clone())
    }

    /// The sealer with the random key, where there was and is no other: no session ends because something else changed.
    pub(super) fn sealer(&self, config: &Config) -> Option<Arc<Sealer>> {
        let is_random = |config: &Config| config.sessions.key_files.is_empty();
        (is_random(self.config) && is_random(config)).then(|| self.snapshot.sealer.clone())
    }

    fn has_changed(&self, file: Option<&Path>) -> bool {
        file.is_some_and(|file| self.changed.contains(file))
    }

    /// The resource at the same place, as it was configured and as it is served.
    fn resource(&self, resource: &Resource) -> Option<(&Resource, &Protected)> {
        let is_same =
            |other: &&Resource| other.path == resource.path && other.host == resource.host;
        let before = self.config.resources.iter().find(is_same)?;
        let protected = self
            .snapshot
            .resources
            .get(&resource.path)?
            .iter()
            .find(|protected| protected.host == resource.host)?;
        Some((before, protected))
    }
}
