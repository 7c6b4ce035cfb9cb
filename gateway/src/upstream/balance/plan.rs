//! What the configuration says about the endpoints of an upstream.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use mcp_gateway_core::balance::{ejection, endpoints::Settings, health};

use crate::{
    config::{EjectionSettings, HealthCheck, Resource, Timeouts, UpstreamTarget},
    upstream::{endpoint::Endpoint, error::UpstreamError},
};

/// The endpoints that are configured, and how they are used.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Each endpoint with its weight; the only one is the pattern of all addresses, where the name is resolved.
    pub(super) endpoints: Vec<(Arc<Endpoint>, u32)>,
    pub(super) resolve: Option<Resolve>,
    pub(super) health_check: Option<HealthCheck>,
    pub(super) settings: Settings,
    /// How long a call waits for an endpoint.
    pub(super) queue_time: Duration,
}

/// A name whose addresses are endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolve {
    pub(super) host: String,
    pub(super) interval: Duration,
}

impl Plan {
    /// The plan of a resource. Endpoints of `previous` with the same settings are reused; where nothing differs, it is `previous`.
    ///
    /// # Errors
    /// A URL or a CA file cannot be used.
    pub(crate) fn reuse_or_new(
        previous: Option<&Arc<Self>>,
        resource: &Resource,
        timeouts: &Timeouts,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Arc<Self>, UpstreamError> {
        let balancing = &resource.balancing;
        let mut configured: Vec<_> = (balancing.endpoints.iter())
            .map(|one| (&one.upstream, one.weight))
            .collect();
        if configured.is_empty() {
            configured.push((&resource.upstream, 1));
        }
        let endpoints = configured.into_iter().map(|(configured, weight)| {
            let known = previous.iter().flat_map(|previous| &previous.endpoints);
            let known = known.map(|(endpoint, _)| endpoint);
            let endpoint = Endpoint::reuse_or_new(known, configured, timeouts, changed_files)?;
            Ok((endpoint, weight))
        });
        let max_calls = balancing.max_calls;
        let plan = Self {
            endpoints: endpoints.collect::<Result<_, UpstreamError>>()?,
            resolve: resolve(resource),
            health_check: balancing.health_check.clone(),
            settings: Settings {
                ejection: ejection(balancing.ejection),
                health: balancing
                    .health_check
                    .as_ref()
                    .map(|check| health::Settings {
                        rise: check.settings.rise,
                        fall: check.settings.fall,
                    }),
                max_calls: max_calls.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
                queue: max_calls.map_or(0, |_| balancing.queue.calls),
            },
            queue_time: balancing.queue.time,
        };
        match previous.filter(|previous| previous.is_like(&plan)) {
            Some(previous) => Ok(previous.clone()),
            None => Ok(Arc::new(plan)),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let pairs = self.endpoints.iter().zip(&other.endpoints);
        let same = |((one, weight), (other, others)): (&(Arc<_>, u32), &(Arc<_>, u32))| {
            Arc::ptr_eq(one, other) && weight == others
        };
        self.endpoints.len() == other.endpoints.len()
            && pairs.into_iter().all(same)
            && self.resolve == other.resolve
            && self.health_check == other.health_check
            && self.settings == other.settings
            && self.queue_time == other.queue_time
    }

    /// The configured endpoints.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> String {
        let endpoints = self.endpoints.iter();
        let shown: Vec<_> = endpoints.map(|(endpoint, _)| endpoint.shown()).collect();
        shown.join(", ")
    }

    /// Whether there can be several endpoints.
    pub(crate) const fn has_several(&self) -> bool {
        self.endpoints.len() > 1 || self.resolve.is_some()
    }

    /// Whether this is one of the configured endpoints.
    pub(super) fn has(&self, endpoint: &Arc<Endpoint>) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.any(|(own, _)| Arc::ptr_eq(own, endpoint))
    }

    /// Whether something beside calls is done for the endpoints.
    pub(super) const fn is_watched(&self) -> bool {
        self.resolve.is_some() || self.health_check.is_some()
    }
}

fn resolve(resource: &Resource) -> Option<Resolve> {
    let interval = resource.balancing.resolve?;
    match &resource.upstream.target {
        UpstreamTarget::Http { authority } | UpstreamTarget::Https { authority, .. } => {
            Some(Resolve {
                host: authority.host().to_owned(),
                interval,
            })
        }
        UpstreamTarget::Unix { .. } => None,
    }
}

fn ejection(configured: EjectionSettings) -> Option<ejection::Settings> {
    configured.enabled.then_some(ejection::Settings {
        failures: configured.failures,
        within: configured.within,
        first: configured.first,
        longest: configured.longest,
    })
}
