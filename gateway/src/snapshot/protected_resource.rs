//! A protected resource (RFC 9728): an MCP server behind the gateway, with everything that decides its requests.

use std::{borrow::Cow, collections::BTreeSet, path::PathBuf, slice, sync::Arc, time::Duration};

use http::{HeaderMap, Method};
use mcp_gateway_core::{
    http::{
        authority::Authority,
        framing, path,
        query::{self, ClientQuery},
        resource_metadata::well_known_path,
    },
    http_sse::message_path::message_path,
    mcp::{supported::Supported, tasks::Tasks},
    policy::{Policy, hide::Hide},
    rate::{Limiter, shared::SharedLimit},
    refusal::{
        challenge::{Challenger, Schemes},
        reason::Reason,
    },
    token::{
        api_key::presented::Accepts,
        dpop::PROOF_ALGORITHMS,
        evidence::possession::{Constraint, Way},
    },
};

use super::{
    decision_points::PointsByName, error::SnapshotError, upstream_headers::UpstreamHeaders,
};
use crate::{
    assertion::{asserter::Asserter, keys::AssertionKeys},
    config::{Config, Demand, EventIds, IdentityHeaders, RequestState, Resource, Transport},
    decision::point::DecisionPoint,
    limits::rate_limiter,
    telemetry::metrics::Metrics,
    upstream::Upstream,
    upstream_credentials::UpstreamCredentials,
    verify::{
        ApiKeys, KeysByIssuer, TrustedIssuer, Verifiers,
        introspection::{EndpointsByIssuer, asked_issuer},
    },
};

/// What resources share.
pub(super) struct SharedParts<'a> {
    pub(super) keys: &'a KeysByIssuer,
    pub(super) points: &'a PointsByName,
    pub(super) endpoints: &'a EndpointsByIssuer,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) assertion_keys: Option<&'a Arc<AssertionKeys>>,
}

/// One protected resource.
#[derive(Debug)]
pub(crate) struct ProtectedResource {
    /// Metric label: the path, preceded by the host if one is configured.
    pub(crate) label: String,
    /// The path as it is configured.
    pub(crate) path: String,
    /// The resource URI (RFC 8707).
    pub(crate) uri: String,
    pub(crate) host: Option<Authority>,
    pub(crate) verifiers: Verifiers,
    /// Whether tokens are bound to their sender.
    pub(crate) constraint: Constraint,
    /// Whether DPoP proofs need a nonce of the gateway.
    pub(crate) dpop_nonces: bool,
    pub(crate) policy: Policy,
    /// Who is asked about calls that the policy permits.
    pub(crate) decision_point: Option<Arc<DecisionPoint>>,
    pub(crate) rate_limits: Vec<Limiter>,
    /// The same limits, as several gateways name them; empty where each counts for itself.
    pub(crate) shared_limits: Vec<SharedLimit>,
    challenger: Challenger,
    /// For requests whose path differs from the configured one in its final slash: it names the metadata of that spelling.
    other_challenger: Challenger,
    pub(crate) upstream: Upstream,
    /// Where the clients of HTTP+SSE send their messages; none with Streamable HTTP.
    messages_at: Option<String>,
    pub(crate) tasks: Tasks,
    pub(crate) request_state: RequestState,
    pub(crate) event_ids: EventIds,
    pub(crate) query: ClientQuery,
    pub(crate) identity_headers: IdentityHeaders,
    pub(crate) upstream_headers: UpstreamHeaders,
    /// What states to the upstream who calls, where it wants to know for certain.
    pub(crate) asserter: Option<Arc<Asserter>>,
    /// The gateway's own credentials for the upstream.
    pub(crate) upstream_credentials: Option<Arc<UpstreamCredentials>>,
    /// Deadline of the upstream's response head.
    pub(crate) response_head: Duration,
    /// The protocol versions listed; without a list the upstream decides.
    pub(crate) supported: Option<Supported>,
}

impl ProtectedResource {
    /// Prepares `resource`, and reuses the unchanged parts of `previous`, the resource with the same host and path before.
    ///
    /// # Errors
    /// The upstream cannot be set up, or a file of its headers or credentials cannot be used.
    pub(super) fn build(
        config: &Config,
        resource: &Resource,
        parts: &SharedParts<'_>,
        previous: Option<&Self>,
        changed_files: &BTreeSet<PathBuf>,
    ) -> Result<Self, SnapshotError> {
        let label = label(resource);
        let upstream = Upstream::reuse_or_new(
            previous.map(|previous| &previous.upstream),
            (resource, &label),
            &config.timeouts,
            changed_files,
            parts.metrics,
        );
        let known_keys = previous.map(|previous| previous.verifiers.api_keys());
        let verifiers = Verifiers::reuse_or_new(
            previous.map(|previous| &previous.verifiers),
            TrustedIssuer::all_of(config, resource, parts.keys),
            resource.audience.clone().into(),
            ApiKeys::reuse_or_new(known_keys, config, resource),
            asked_issuer(config, resource, parts.endpoints),
            config.limits.verified_tokens,
        );
        let limiters = previous.map_or(&[][..], |previous| &previous.rate_limits);
        let rate_limits = resource.rate_limits.iter();
        Ok(Self {
            label,
            path: resource.path.clone(),
            uri: resource.uri.clone(),
            host: resource.host.clone(),
            verifiers,
            constraint: resource.sender_constraint.constraint(),
            dpop_nonces: resource.sender_constraint.dpop_nonces,
            policy: resource.policy.clone(),
            decision_point: resource
                .decision_point
                .as_ref()
                .and_then(|name| parts.points.get(name).cloned()),
            rate_limits: rate_limits
                .map(|limit| rate_limiter::reuse_or_new(limiters, limit))
                .collect(),
            shared_limits: shared_limits(config, resource),
            challenger: challenger(config, resource, &resource.path),
            other_challenger: challenger(config, resource, &path::other_spelling(&resource.path)),
            upstream: upstream.map_err(|error| SnapshotError::Upstream {
                path: resource.path.clone(),
                error,
            })?,
            messages_at: (resource.transport == Transport::Sse)
                .then(|| message_path(&resource.path)),
            tasks: resource.tasks,
            request_state: resource.request_state,
            event_ids: resource.event_ids,
            query: resource.query,
            identity_headers: resource.identity_headers.clone(),
            upstream_headers: UpstreamHeaders::read(&resource.upstream_headers)?,
            asserter: asserter(config, resource, parts, previous),
            upstream_credentials: upstream_credentials(resource, parts, previous, changed_files)?,
            response_head: resource.response_head,
            supported: resource.supported.clone(),
        })
    }
}

impl ProtectedResource {
    /// Why `Connection` of a request names a header that must not be removed on the way, if it does.
    pub(crate) fn removed_header(&self, client: &HeaderMap) -> Option<String> {
        let detail =
            |option: String, key: &str| format!("the Connection header names {option} ({key})");
        if let Some(option) = self.upstream_headers.removed(client) {
            return Some(detail(option, "resources.upstream.pass_headers"));
        }
        let header = self.verifiers.api_keys().header()?;
        let option = framing::removed_field_among(client, slice::from_ref(header))?;
        Some(detail(option, "resources.api_keys.header"))
    }

    /// The writer of challenges to requests for this spelling of the path.
    pub(crate) fn challenger(&self, path: &str) -> &Challenger {
        match path == self.path || self.part(path) == Part::Messages {
            true => &self.challenger,
            false => &self.other_challenger,
        }
    }

    /// The URI of requests for this spelling of the path.
    pub(crate) fn uri_at(&self, path: &str) -> Cow<'_, str> {
        match path == self.path {
            true => Cow::Borrowed(&self.uri),
            false if self.part(path) == Part::Messages => Cow::Owned(message_path(&self.uri)),
            false => path::other_spelling(&self.uri),
        }
    }

    /// What a request for this path of the resource is for.
    pub(crate) fn part(&self, path: &str) -> Part {
        match &self.messages_at {
            None => Part::Whole,
            Some(messages) if messages == path => Part::Messages,
            Some(_) => Part::Stream,
        }
    }

    /// The credentials that it accepts beside bearer tokens.
    pub(crate) fn accepts(&self) -> Accepts<'_> {
        Accepts {
            key_header: self.verifiers.api_keys().header(),
            dpop: self.constraint.accepts(Way::Dpop),
        }
    }

    /// Whether the events of a stream are edited the same for both: what is hidden from lists, and which ids are sealed.
    pub(crate) fn edits_like(&self, other: &Self) -> bool {
        let hides_nothing = |resource: &Self| resource.policy.hide == Hide::Nothing;
        let is_asked_alike = match (&self.decision_point, &other.decision_point) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        };
        let hides_alike = self.policy == other.policy && is_asked_alike;
        self.tasks == other.tasks && ((hides_nothing(self) && hides_nothing(other)) || hides_alike)
    }

    /// The query of a request to an endpoint with a query of its own, where the client sent this one.
    ///
    /// # Errors
    /// [`Reason::AmbiguousQuery`].
    pub(crate) fn query_for_upstream(
        &self,
        own: Option<&str>,
        client: Option<&str>,
    ) -> Result<Option<String>, Reason> {
        let passed = client.filter(|_| !self.drops_query());
        query::combined(own, passed)
    }

    /// Whether the client's query is not forwarded.
    pub(crate) fn drops_query(&self) -> bool {
        self.query == ClientQuery::Drop
    }
}

/// What adds assertions to the resource's requests, if its upstream receives them.
fn asserter(
    config: &Config,
    resource: &Resource,
    parts: &SharedParts<'_>,
    previous: Option<&ProtectedResource>,
) -> Option<Arc<Asserter>> {
    Some(Asserter::reuse_or_new(
        previous.and_then(|previous| previous.asserter.as_ref()),
        resource.assertion.as_ref()?,
        &config.public_url.join(""),
        parts.assertion_keys?,
        config.limits.assertion_subjects,
    ))
}

/// What a request for a resource is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything: Streamable HTTP.
    Whole,
    /// The event stream of HTTP+SSE.
    Stream,
    /// The messages of HTTP+SSE.
    Messages,
}

impl Part {
    /// Whether requests for it have this HTTP method.
    pub(crate) fn has(self, method: &Method) -> bool {
        match self {
            Self::Whole => matches!(*method, Method::POST | Method::GET | Method::DELETE),
            Self::Stream => *method == Method::GET,
            Self::Messages => *method == Method::POST,
        }
    }
}

/// The gateway's own credentials for the upstream of a resource.
fn upstream_credentials(
    resource: &Resource,
    parts: &SharedParts<'_>,
    previous: Option<&ProtectedResource>,
    changed_files: &BTreeSet<PathBuf>,
) -> Result<Option<Arc<UpstreamCredentials>>, SnapshotError> {
    let Some(configured) = &resource.upstream_credentials else {
        return Ok(None);
    };
    let credentials = UpstreamCredentials::reuse_or_new(
        previous.and_then(|previous| previous.upstream_credentials.as_ref()),
        configured,
        &label(resource),
        parts.metrics,
        changed_files,
    );
    let credentials = credentials.map_err(|error| SnapshotError::UpstreamCredentials {
        path: resource.path.clone(),
        error,
    });
    credentials.map(Some)
}

/// The names under which several gateways count the limits of a resource.
fn shared_limits(config: &Config, resource: &Resource) -> Vec<SharedLimit> {
    let limits = resource.rate_limits.iter();
    let limits = limits.filter(|_| config.shared_rates.is_some());
    limits
        .map(|limit| SharedLimit::new(&resource.uri, limit))
        .collect()
}

fn label(resource: &Resource) -> String {
    resource.host.as_ref().map_or_else(
        || resource.path.clone(),
        |host| format!("{host}{}", resource.path),
    )
}

/// The writer of a resource's challenges to requests for this spelling of its path.
pub(crate) fn challenger(config: &Config, resource: &Resource, spelling: &str) -> Challenger {
    let base = resource.uri.strip_suffix(&resource.path);
    let path = well_known_path(spelling);
    let url = base.map_or_else(
        || config.public_url.join(&path),
        |base| format!("{base}{path}"),
    );
    let schemes = schemes(&resource.sender_constraint.constraint());
    let scopes = resource.policy.hinted_scopes();
    Challenger::new(&url, &scopes, resource.scope_prefixes.clone())
        .with_schemes(schemes, &PROOF_ALGORITHMS)
}

/// The schemes with which tokens are accepted.
fn schemes(constraint: &Constraint) -> Schemes {
    match (constraint.accepts(Way::Dpop), constraint.dpop) {
        (false, _) => Schemes::Bearer,
        (true, Demand::Require) => Schemes::Dpop,
        (true, Demand::Allow | Demand::Refuse) => Schemes::Both,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_the_schemes_with_which_tokens_are_accepted() {
        use Demand::{Allow, Refuse, Require};
        for (dpop, mutual_tls, expected) in [
            (Allow, Allow, Schemes::Both),
            (Allow, Refuse, Schemes::Both),
            (Refuse, Allow, Schemes::Bearer),
            (Require, Allow, Schemes::Dpop),
            (Allow, Require, Schemes::Bearer),
        ] {
            let found = schemes(&Constraint { dpop, mutual_tls });
            assert_eq!(found, expected, "{dpop:?} {mutual_tls:?}");
        }
    }
}
