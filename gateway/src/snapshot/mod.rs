//! The configuration prepared for requests: built, checked and replaced as a whole.
//!
//! A [`Snapshot`] has everything that decides a request, with nothing left to look up, parse or build. It is never changed;
//! a request loads it once and uses it until its end.
//!
//! A snapshot of a changed configuration reuses the unchanged parts of the previous one: connections to upstreams, keys of
//! issuers, verified tokens, the counts of rate limits, the random sealing key. Each type decides itself whether it can be
//! reused (`reuse_or_new`).

mod configured_sealer;
mod decision_points;
mod error;
mod protected_resource;
mod upstream_headers;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
    path::PathBuf,
    slice,
    sync::Arc,
    time::Duration,
};

use mcp_gateway_core::{
    http::{
        authority::{Authority, Scheme},
        origin::Origins,
        path,
    },
    http_sse::message_path,
    json::JsonLimits,
    mcp::method::McpMethod,
    rate::{Limiter, Per, RateLimit, token_bucket::Rate},
    seal::Sealer,
    token::api_key::ring::KeyRing,
};

use crate::{
    assertion::keys::AssertionKeys,
    authorization_server::server::Server,
    clock,
    config::{Addresses, BUILT_IN, Config, Limits, Resource, SharedRateLimits, Shutdown, Timeouts},
    limits::{
        body_budget::BodyLimits,
        in_flight::{InFlightLimits, Most},
        overload::{
            descriptors::{self, Capacity},
            memory,
        },
        rate_limiter,
    },
    local::{documents::Documents, service::LocalService},
    telemetry::metrics::Metrics,
    upstream::Upstream,
    verify::{
        KeysByIssuer,
        introspection::{EndpointsByIssuer, endpoints_by_issuer},
        keys_by_issuer,
    },
};
use configured_sealer::ConfiguredSealer;
use decision_points::PointsByName;
pub(crate) use error::SnapshotError;
use protected_resource::SharedParts;
pub(crate) use protected_resource::{Part, ProtectedResource, challenger};

/// Everything that decides a request.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) scheme: Scheme,
    pub(crate) origins: Origins,
    pub(crate) documents: Documents,
    /// The built-in authorization server, if there is one.
    pub(crate) service: Option<Arc<dyn LocalService>>,
    /// The same one, for what follows from a reload.
    pub(crate) authorization_server: Option<Server>,
    pub(crate) addresses: Addresses,
    pub(crate) limits: Limits,
    /// What the descriptors of the process suffice for.
    pub(crate) capacity: Capacity,
    /// The most bytes that bodies in memory may take.
    pub(crate) bodies: BodyLimits,
    pub(crate) timeouts: Timeouts,
    pub(crate) shutdown: Shutdown,
    pub(crate) json: JsonLimits,
    pub(crate) keys: KeysByIssuer,
    /// Every API key.
    pub(crate) api_keys: Arc<KeyRing>,
    decision_points: PointsByName,
    /// The issuers that are asked about their tokens.
    endpoints: EndpointsByIssuer,
    /// How often each principal may open a legacy session.
    pub(crate) initializations: Limiter,
    /// How the store of rate limits is asked that several gateways share.
    pub(crate) shared_rates: Option<SharedRateLimits>,
    sealer: ConfiguredSealer,
    /// The keys that sign assertions, where an upstream receives them.
    assertion_keys: Option<Arc<AssertionKeys>>,
    hosts: HashSet<Authority>,
    /// By path, then by host; a resource without a host answers on every host served.
    resources: HashMap<String, Vec<Arc<ProtectedResource>>>,
}

impl Snapshot {
    /// Prepares `config`, and reuses the unchanged parts of `previous`. The content of `changed_files` has changed since
    /// `previous` was built.
    ///
    /// # Errors
    /// A file cannot be used any more since the configuration was checked.
    pub(crate) fn build(
        config: &Config,
        metrics: &Arc<Metrics>,
        previous: Option<&Self>,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Self, SnapshotError> {
        let previous_keys = previous.map(|previous| &previous.keys);
        let keys = keys_by_issuer(config, metrics, previous_keys, changed_files)
            .map_err(|(name, error)| SnapshotError::Issuer { name, error })?;
        let previous_endpoints = previous.map(|previous| &previous.endpoints);
        let endpoints = endpoints_by_issuer(config, metrics, previous_endpoints, changed_files)
            .map_err(|(name, error)| SnapshotError::Issuer { name, error })?;
        let authorization_server = authorization_server(config, previous, &keys)?;
        let points = decision_points::by_name(
            config,
            metrics,
            previous.map(|previous| &previous.decision_points),
            changed_files,
        )?;
        let assertion_keys = assertion_keys(config, previous)?;
        let mut resources: HashMap<String, Vec<Arc<ProtectedResource>>> = HashMap::new();
        for resource in &config.resources {
            let previous = previous.and_then(|previous| previous.resource_configured_at(resource));
            let parts = SharedParts {
                keys: &keys,
                points: &points,
                endpoints: &endpoints,
                metrics,
                assertion_keys: assertion_keys.as_ref(),
            };
            let protected =
                ProtectedResource::build(config, resource, &parts, previous, changed_files)?;
            resources
                .entry(resource.path.clone())
                .or_default()
                .push(Arc::new(protected));
        }
        // The one with a host is preferred to the one without, which is for every other host.
        for sharing in resources.values_mut() {
            sharing.sort_by_key(|protected| protected.host.is_none());
        }
        let limits = limits(config, previous);
        let limiter = previous.map(|previous| &previous.initializations);
        Ok(Self {
            scheme: config.public_url.scheme(),
            origins: Origins::new(config.public_url.origin(), config.origins.clone()),
            documents: Documents::new(config, assertion_keys.as_ref().map(|keys| keys.jwk_set())),
            service: (authorization_server.clone()).map(|server| Arc::new(server) as _),
            authorization_server,
            addresses: config.addresses.clone(),
            limits,
            capacity: capacity(config, &limits),
            bodies: body_limits(&config.limits),
            timeouts: config.timeouts,
            shutdown: config.shutdown,
            json: JsonLimits {
                depth: config.limits.json_depth,
                members: config.limits.json_members,
            },
            sealer: ConfiguredSealer::reuse_or_new(
                previous.map(|previous| &previous.sealer),
                &config.sessions.key_files,
            )?,
            assertion_keys,
            keys,
            api_keys: config.api_keys.ring.clone(),
            decision_points: points,
            endpoints,
            initializations: rate_limiter::reuse_or_new(
                limiter.map_or(&[], slice::from_ref),
                &initializations(&config.limits),
            ),
            shared_rates: config.shared_rates.as_ref().map(|rates| rates.settings),
            hosts: hosts(config),
            resources,
        })
    }

    /// Uses the endpoints of its upstreams from now on, instead of those of the snapshot before.
    pub(crate) fn activate(&self) {
        self.upstreams().for_each(Upstream::activate);
    }

    /// The upstreams of all resources.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let resources = self.resources.values().flatten();
        resources.map(|resource| &resource.upstream)
    }

    /// Serves this authorization server from the start on; a reload keeps what it has.
    pub(crate) fn start_authorization_server(&mut self, server: Server) {
        let server = server.with_issuer_keys(&self.keys);
        if let Some(keys) = self.keys.get(BUILT_IN) {
            server.publish_keys(keys);
        }
        self.service = Some(Arc::new(server.clone()));
        self.authorization_server = Some(server);
    }

    /// The most calls and listening streams.
    pub(crate) const fn in_flight(&self) -> InFlightLimits {
        InFlightLimits {
            calls: Most {
                own: self.capacity.calls_per_principal,
                all: self.capacity.calls,
            },
            listening_streams: Most {
                own: self.limits.listening_streams_per_principal,
                all: self.capacity.listening_streams,
            },
        }
    }

    /// Seals and opens session ids, task ids and request states.
    pub(crate) const fn sealer(&self) -> &Arc<Sealer> {
        self.sealer.sealer()
    }

    /// The keys that sign assertions, where an upstream receives them.
    pub(crate) const fn assertion_keys(&self) -> Option<&Arc<AssertionKeys>> {
        self.assertion_keys.as_ref()
    }

    /// Whether requests for this authority are served.
    pub(crate) fn serves(&self, host: &Authority) -> bool {
        self.hosts.contains(host)
    }

    /// The hosts that are served, in order.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        hosts.sort();
        hosts
    }

    /// The paths of the resources on this host, in order.
    pub(crate) fn paths(&self, host: &Authority) -> Vec<&str> {
        let paths = self.resources.keys().map(String::as_str);
        let mut paths: Vec<_> = paths
            .filter(|path| self.resource(host, path).is_some())
            .collect();
        paths.sort_unstable();
        paths
    }

    /// Whether a connection opened for `server_name` is for another host than `host` (RFC 9110 §15.5.20). Names that are not
    /// served here do not count: a load balancer may have any name. The certificate does not matter: one that covers both
    /// hosts, perhaps by a wildcard, does not make them the same host.
    pub(crate) fn is_another_host(&self, server_name: &str, host: &Authority) -> bool {
        !server_name.eq_ignore_ascii_case(host.host())
            && self
                .hosts
                .iter()
                .any(|served| server_name.eq_ignore_ascii_case(served.host()))
    }

    /// The resource at this path of this host: at exactly this one, or at the one that differs only in its final slash.
    pub(crate) fn resource(&self, host: &Authority, path: &str) -> Option<&Arc<ProtectedResource>> {
        self.resource_at(host, path)
            .or_else(|| self.resource_at(host, &path::other_spelling(path)))
    }

    /// The resource of this host whose messages of HTTP+SSE have this path.
    pub(crate) fn resource_of_messages(
        &self,
        host: &Authority,
        path: &str,
    ) -> Option<&Arc<ProtectedResource>> {
        let resource = message_path::resource_path(path)?;
        let mut spellings = [Cow::Borrowed(resource), path::other_spelling(resource)]
            .into_iter()
            .filter_map(|spelling| self.resource_at(host, &spelling));
        spellings.find(|resource| resource.part(path) == Part::Messages)
    }

    fn resource_at(&self, host: &Authority, path: &str) -> Option<&Arc<ProtectedResource>> {
        self.resources
            .get(path)?
            .iter()
            .find(|resource| resource.host.as_ref().is_none_or(|own| own == host))
    }

    /// The resource configured with the path and the host of this one.
    fn resource_configured_at(&self, resource: &Resource) -> Option<&ProtectedResource> {
        let sharing = self.resources.get(&resource.path)?.iter();
        let mut same = sharing.filter(|protected| protected.host == resource.host);
        same.next().map(Arc::as_ref)
    }
}

/// The built-in authorization server after a reload, with its keys in use.
fn authorization_server(
    config: &Config,
    previous: Option<&Snapshot>,
    keys: &KeysByIssuer,
) -> Result<Option<Server>, SnapshotError> {
    let server = match previous.map(|previous| &previous.authorization_server) {
        None | Some(None) => None,
        Some(Some(server)) => server.reloaded(config)?,
    };
    let server = server.map(|server| server.with_issuer_keys(keys));
    if let (Some(server), Some(keys)) = (&server, keys.get(BUILT_IN)) {
        server.publish_keys(keys);
    }
    Ok(server)
}

/// The keys that sign assertions; none where no upstream receives any.
fn assertion_keys(
    config: &Config,
    previous: Option<&Snapshot>,
) -> Result<Option<Arc<AssertionKeys>>, SnapshotError> {
    if !config.signs_assertions() {
        return Ok(None);
    }
    let previous = previous.and_then(|previous| previous.assertion_keys.as_ref());
    let keys = AssertionKeys::reuse_or_new(previous, &config.assertions, clock::now())?;
    Ok(Some(keys))
}

/// The limit on new legacy sessions (`limits.initializations_per_principal`), per minute.
fn initializations(limits: &Limits) -> RateLimit {
    const MINUTE: Duration = Duration::from_secs(60);
    let count = limits.initializations_per_principal;
    RateLimit {
        per: Per::Subject,
        rate: Rate::new(count, MINUTE, count),
        methods: vec![McpMethod::Initialize.name().to_owned()],
        names: Vec::new().into(),
    }
}

/// The configured limits; the number of connections is that of the start.
fn limits(config: &Config, previous: Option<&Snapshot>) -> Limits {
    let configured = config.limits;
    Limits {
        connections: previous.map_or(configured.connections, |start| start.limits.connections),
        ..configured
    }
}

/// What the descriptors suffice for.
fn capacity(config: &Config, limits: &Limits) -> Capacity {
    let openers = (config.listen.len(), config.kept_issuers().count());
    let points = config.decision_points.values();
    let questions: usize = points.map(|point| point.settings.questions).sum();
    let credentials = config.resources.iter().filter_map(|resource| {
        let credentials = resource.upstream_credentials.as_ref()?;
        Some(credentials.connections())
    });
    let questions = questions + credentials.sum::<usize>();
    let granted = descriptors::granted();
    let left = granted.map(|all| all.saturating_sub(questions));
    Capacity::divide(left, openers, limits)
}

fn body_limits(limits: &Limits) -> BodyLimits {
    let memory = match limits.bodies_bytes {
        Some(_) => None,
        None => limits.memory.or_else(memory::cgroup_limit),
    };
    BodyLimits::of(limits, memory)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::test_gateway::gateway;

    fn authority(text: &str) -> Authority {
        Authority::parse(text).unwrap()
    }

    #[test]
    fn the_hosts_of_url_list_and_resources_are_served_with_their_ports() {
        let snapshot = gateway("").snapshot();
        for (host, expected) in [
            ("mcp.example.com", true),
            ("own.example.com", true),
            ("internal.example.com:8443", true),
            ("internal.example.com", false),
            ("mcp.example.com:8443", false),
            ("sub.mcp.example.com", false),
        ] {
            assert_eq!(snapshot.serves(&authority(host)), expected, "{host}");
        }
    }

    #[test]
    fn a_connection_is_for_another_host_only_where_that_host_is_served() {
        let snapshot = gateway("").snapshot();
        let host = authority("mcp.example.com");
        for (name, expected) in [
            ("mcp.example.com", false),
            ("MCP.EXAMPLE.COM", false),
            ("own.example.com", true),
            ("Internal.example.com", true),
            ("balancer.example.net", false),
            ("", false),
        ] {
            assert_eq!(snapshot.is_another_host(name, &host), expected, "{name}");
        }
        let other_port = authority("internal.example.com:8443");
        assert!(!snapshot.is_another_host("internal.example.com", &other_port));
    }

    #[test]
    fn the_session_limit_is_the_configured_one_a_minute_for_each_subject() {
        let limits = Limits {
            initializations_per_principal: 7,
            ..Limits::default()
        };
        let limit = initializations(&limits);
        assert_eq!(limit.per, Per::Subject);
        assert_eq!(limit.rate, Rate::new(7, Duration::from_secs(60), 7));
        assert_eq!(
            (limit.methods, limit.names.as_slice().len()),
            (vec!["initialize".to_owned()], 0)
        );
    }

    #[test]
    fn the_body_limit_is_the_configured_one_or_a_share_of_memory() {
        let of = |bodies_bytes, memory| {
            let limits = Limits {
                bodies_bytes,
                memory,
                ..Limits::default()
            };
            body_limits(&limits).all
        };
        assert_eq!(of(Some(5), Some(1 << 30)), 5);
        assert_eq!(of(None, Some(80 << 20)), 10 << 20);
        assert_eq!(of(None, Some(usize::MAX)), 128 << 20);
    }
}
