//! Protected resources: each alone, then all together, because a token that two resources accept opens both.

mod protocol_versions;
mod sender_constraint;

use std::time::Duration;

use http::HeaderName;
use mcp_gateway_core::{
    http::{
        authority::{Authority, Scheme},
        path::other_spelling,
    },
    similar,
};
use mcp_gateway_oauth::discovery::Endpoint;

use super::{
    common::{quoted, without_repeats},
    credentials::api_keys,
    header_names,
    issuers::Issuers,
    listen,
    policy::{
        self,
        decision_points::{self, DecisionPoints},
        identities,
    },
    rate_limits,
    upstream::{self, transport},
};
use crate::config::{
    built_in::BUILT_IN,
    declaration::{
        credentials::assertions::UpstreamAssertion,
        identity_headers::IdentityHeaders,
        resource::{EVENT_IDS, OWN_RESPONSE_HEAD, QUERY, REQUEST_STATE, SHARED_AUDIENCE, TASKS},
    },
    model::{Listener, PublicUrl, Resource, Route, Upstream},
    outgoing::credentials::UpstreamCredentials,
    reading::{
        reader::{EMPTY, Item, Section, did_you_mean},
        url::HttpUrl,
    },
};
use sender_constraint::{Simple, refuse_keys_of_nobody, sender_constraint};

/// What a resource depends on.
pub(super) struct Surroundings<'a> {
    /// None where it is invalid: resource URIs are then unknown.
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) issuers: &'a Issuers,
    pub(super) decision_points: &'a DecisionPoints,
    pub(super) listen: &'a [Listener],
    /// How authorization servers are reached that do not say it themselves.
    pub(super) outbound: &'a Route,
    /// Whether clients can present certificates.
    pub(super) takes_client_certificates: bool,
    /// Whether the built-in authorization server answers at the public URL.
    pub(super) has_authorization_server: bool,
    /// Whether there are key files.
    pub(super) has_api_keys: bool,
    /// The default of `response_head`.
    pub(super) response_head: Duration,
}

/// A resource with what is needed to compare it with the others.
struct Candidate<'a> {
    item: Item<'a>,
    resource: Resource,
    shared_audience: bool,
}

const IDENTITY_FIX: &str = "Use a name such as x-mcp-subject, or null to leave the header out";

pub(super) fn resources(root: &Section<'_>, around: &Surroundings<'_>) -> Vec<Resource> {
    let fix = "Add a resource with path, upstream, issuers and policy";
    let items = root.required_list("resources", fix);
    let candidates: Vec<_> = items
        .into_iter()
        .filter_map(|item| candidate(item, around))
        .collect();
    for (index, later) in candidates.iter().enumerate() {
        for earlier in candidates.iter().take(index) {
            refuse_same_path(earlier, later, around);
            let at = (&later.item, &later.resource);
            transport::refuse_path_of_messages(at, &earlier.resource);
            refuse_same_audience(earlier, later, around.issuers);
            refuse_forged_identity(&earlier.resource, later, &later.resource);
            refuse_forged_identity(&later.resource, later, &earlier.resource);
        }
    }
    let resources = candidates.into_iter().map(|candidate| candidate.resource);
    with_other_spellings(resources.collect())
}

/// Each resource accepts tokens for its URI with and without the final slash, as its metadata names both. A spelling that
/// belongs to another resource is left to that one.
fn with_other_spellings(mut resources: Vec<Resource>) -> Vec<Resource> {
    let of_others = |index: usize, uri: &String| {
        let mut others = resources.iter().enumerate().filter(|(at, _)| *at != index);
        others.any(|(_, other)| other.uri == *uri || other.audience.contains(uri))
    };
    let spellings = |(index, resource): (usize, &Resource)| {
        let both = [resource.uri.clone(), other_spelling(&resource.uri).into()];
        let is_own = both.iter().any(|uri| resource.audience.contains(uri));
        let lacks = |uri: &String| !resource.audience.contains(uri) && !of_others(index, uri);
        let added = both.into_iter().filter(|uri| is_own && lacks(uri));
        added.collect::<Vec<_>>()
    };
    let added: Vec<_> = resources.iter().enumerate().map(spellings).collect();
    for (resource, added) in resources.iter_mut().zip(added) {
        resource.audience.extend(added);
    }
    resources
}

fn candidate<'a>(item: Item<'a>, around: &Surroundings<'_>) -> Option<Candidate<'a>> {
    let section = item.section();
    let shared_audience = SHARED_AUDIENCE.read(&section);
    let resource = resource(&section, around);
    section.finish();
    Some(Candidate {
        item,
        resource: resource?,
        shared_audience,
    })
}

fn resource(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Resource> {
    let path = section
        .required("path", "Write the path that clients use, such as /mcp")
        .and_then(|item| Some((path(&item)?, item)));
    let host = host(section, around);
    if let Some((path, item)) = path.as_ref().filter(|_| around.has_authorization_server) {
        refuse_endpoint(item, path, host.as_ref(), around);
    }
    let path = path.map(|(path, _)| path);
    let identity_headers = identity_headers(section);
    let upstream = section.required(
        "upstream",
        "Write the MCP server's URL, such as http://127.0.0.1:9000/mcp",
    );
    let read_upstream = upstream.map(|item| {
        let (listen, route) = (around.listen, around.outbound);
        upstream::upstream(&item, path.as_deref(), listen, &identity_headers, route)
    });
    let read_upstream = read_upstream.unwrap_or_default();
    let upstream_headers = read_upstream.headers;
    let assertion = read_upstream.assertion;
    let transport = read_upstream.transport;
    let upstream_credentials = read_upstream.credentials;
    let passed: Vec<_> = (upstream_headers.passed.iter())
        .chain(identity_headers.names())
        .chain(assertion.iter().flat_map(UpstreamAssertion::names))
        .collect();
    let api_keys = api_keys::accepted(section, around.has_api_keys, &passed);
    let issuers = issuers(section, around, api_keys.is_some());
    let audience = audience(section);
    let name = section.text("name");
    let documentation = section
        .get("documentation")
        .and_then(|item| documentation(&item));
    let named: Vec<_> = issuers
        .iter()
        .filter_map(|name| around.issuers.usable.get(name))
        .collect();
    let vouching = identities::Issuers {
        named: &named,
        api_keys: api_keys.is_some(),
    };
    let policy = policy::policy(section, vouching);
    let decision_point = decision_points::of_resource(section, around.decision_points);
    let rate_limits = rate_limits::rate_limits(section);
    let tasks = TASKS.read(section);
    let request_state = REQUEST_STATE.read(section);
    let event_ids = EVENT_IDS.read(section);
    let query = QUERY.read(section);
    let simple = Simple::of(&issuers, around.issuers, api_keys.is_some());
    let exchanges = (upstream_credentials.as_ref()).is_some_and(UpstreamCredentials::exchanges);
    let bound = section.section("sender_constraint");
    let sender_constraint =
        sender_constraint(bound, around.takes_client_certificates, simple, exchanges);
    if let Some(simple) = simple.filter(|_| !audience.is_empty()) {
        section.report_at("audience", simple.without_audience(), "Remove the key");
    }
    refuse_keys_of_nobody(section, api_keys.is_some(), &sender_constraint);
    if exchanges && api_keys.is_some() {
        section.report_at(
            "api_keys",
            "cannot be combined with `token_exchange` of the upstream: an API key is no token that somebody could exchange",
            "Remove one of the two, or use `client_credentials` for the upstream",
        );
    }
    let response_head = OWN_RESPONSE_HEAD
        .read(section)
        .unwrap_or(around.response_head);
    let supported = protocol_versions::supported(section);
    transport::refuse_other_revisions(
        section,
        transport,
        (tasks, request_state),
        supported.as_ref(),
    );
    let (path, read) = (path?, policy?);
    let uri = uri(around.public_url?, host.as_ref(), &path);
    let mut policy = read.policy;
    policy.asked =
        (decision_point.as_deref()).and_then(|name| around.decision_points.asked(name, &uri));
    if issuers.iter().any(|name| name == BUILT_IN) {
        require_own_audience(section, &audience, &uri);
    }
    Some(Resource {
        audience: if audience.is_empty() {
            vec![uri.clone()]
        } else {
            audience
        },
        path,
        host,
        uri,
        upstream: read_upstream.upstream?,
        balancing: read_upstream.balancing,
        transport,
        issuers,
        api_keys,
        name,
        documentation,
        scopes_required: policy.required.clone(),
        scopes_supported: policy.supported.clone(),
        scope_descriptions: read.descriptions,
        scope_prefixes: read.prefixes,
        policy,
        decision_point,
        rate_limits,
        tasks,
        request_state,
        event_ids,
        query,
        identity_headers,
        sender_constraint,
        assertion,
        upstream_headers,
        upstream_credentials,
        response_head,
        supported,
    })
}

/// The path: unreserved characters, at most one slash at the end, not below `/.well-known/`.
fn path(item: &Item<'_>) -> Option<String> {
    let path = item.text()?;
    if path == "/" {
        return Some(path);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let segment = |segment: &str| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(plain)
    };
    if path == "/.well-known" || path.starts_with("/.well-known/") {
        item.report(
            "must not be below /.well-known/, which is reserved for metadata",
            "Use another path",
        );
        return None;
    }
    let segments = path
        .strip_prefix('/')
        .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    match segments {
        Some(segments) if segments.split('/').all(segment) => Some(path),
        _ => {
            item.report(
                "must be an absolute path of plain segments",
                "Use letters, digits, -, ., _ and ~ after each slash, such as /mcp or /mcp/",
            );
            None
        }
    }
}

/// The authorization server answers at its endpoints on the host of the public URL.
fn refuse_endpoint(
    item: &Item<'_>,
    path: &str,
    host: Option<&Authority>,
    around: &Surroundings<'_>,
) {
    let own = around.public_url.map(|url| &url.authority);
    let is_elsewhere = host.is_some() && host != own;
    let path = path.trim_end_matches('/');
    if Endpoint::of(path).is_some() && !is_elsewhere {
        item.report(
            format_args!("{path} is a path of `authorization_server`"),
            "Use another path",
        );
    }
}

/// Tokens of the built-in authorization server have the resource URI as their audience.
fn require_own_audience(section: &Section<'_>, audience: &[String], uri: &str) {
    let is_own = |value: &String| value == uri || *value == *other_spelling(uri);
    if !audience.is_empty() && !audience.iter().any(is_own) {
        section.report_at(
            "audience",
            format_args!("must have the resource URI, for tokens of {BUILT_IN}"),
            format_args!("Add {uri}, or remove the key"),
        );
    }
}

fn host(section: &Section<'_>, around: &Surroundings<'_>) -> Option<Authority> {
    let scheme = around.public_url.map_or(Scheme::Https, PublicUrl::scheme);
    listen::authority(&section.get("host")?, scheme)
}

fn uri(public_url: &PublicUrl, host: Option<&Authority>, path: &str) -> String {
    match host {
        Some(host) => format!("{}://{host}{path}", public_url.scheme),
        None => public_url.join(path),
    }
}

fn issuers(section: &Section<'_>, around: &Surroundings<'_>, has_api_keys: bool) -> Vec<String> {
    let known = around.issuers;
    let fix = "Name an issuer, such as [corporate]";
    if around.has_authorization_server && section.get("issuers").is_none() {
        return vec![BUILT_IN.to_owned()];
    }
    let listed = match has_api_keys {
        // A resource may have no issuer: its callers then have API keys.
        true => section.list("issuers"),
        false => section.required_list("issuers", fix),
    };
    let listed = listed.into_iter().filter_map(|item| {
        let name = item.text()?;
        if !known.names.contains(&name) {
            let problem = format!("unknown issuer `{}`", quoted(&name));
            if name == BUILT_IN {
                let fix = "Add the section, or name another issuer";
                item.report("needs `authorization_server`", fix);
                return None;
            }
            match similar::nearest(&name, known.names.iter().map(String::as_str)) {
                Some(near) => item.report(problem, did_you_mean(near)),
                None => item.report(problem, "Define it under `issuers`, or remove it here"),
            }
        }
        Some((item, name))
    });
    let listed: Vec<_> = listed.collect();
    for (index, (item, name)) in listed.iter().enumerate() {
        let mut before = listed.iter().take(index).filter(|(_, other)| other != name);
        if before.any(|(_, other)| known.overlap(name, other)) {
            item.report(
                "same issuer URL as another issuer of this resource",
                "Remove one of the two",
            );
        }
        let mut before = listed.iter().take(index).filter(|(_, other)| other != name);
        if known.introspects(name) && before.any(|(_, other)| known.introspects(other)) {
            item.report(
                "a second issuer of this resource with `introspection`: an opaque token does not say who issued it",
                "Remove one of the two, or give each a resource of its own",
            );
        }
    }
    without_repeats(listed)
}

fn audience(section: &Section<'_>) -> Vec<String> {
    let values = section
        .one_or_many("audience")
        .into_iter()
        .filter_map(|item| {
            let value = item.text()?;
            if !value.chars().all(|c| c.is_ascii_graphic()) {
                item.report(
                    "must have only ASCII characters, without spaces",
                    "Write the exact `aud` value of the tokens",
                );
            }
            Some((item, value))
        });
    without_repeats(values.collect())
}

fn documentation(item: &Item<'_>) -> Option<String> {
    item.parsed(
        HttpUrl::parse,
        "Write the URL of a page for people, such as https://docs.example.com/tasks",
    )?;
    item.text()
}

fn identity_headers(section: &Section<'_>) -> IdentityHeaders {
    if section
        .raw("identity_headers")
        .is_some_and(|item| item.is_null())
    {
        section.report_at(
            "identity_headers",
            EMPTY,
            "Set a header to null to leave it out, or remove the key",
        );
    }
    let section = section.section("identity_headers");
    let default = IdentityHeaders::default();
    let mut named = Vec::new();
    let mut header = |key: &'static str, default: Option<HeaderName>| match section.raw(key) {
        Some(item) if item.is_null() => None,
        Some(item) => {
            let name = header_names::own(&item, IDENTITY_FIX)?;
            if named.contains(&name) {
                item.report(
                    "same header name as another identity header",
                    "Use another name",
                );
            }
            named.push(name.clone());
            Some(name)
        }
        None => {
            named.extend(default.clone());
            default
        }
    };
    let headers = IdentityHeaders {
        subject: header("subject", default.subject),
        issuer: header("issuer", default.issuer),
        client: header("client", default.client),
        scope: header("scope", default.scope),
    };
    section.finish();
    headers
}

fn refuse_same_path(earlier: &Candidate<'_>, later: &Candidate<'_>, around: &Surroundings<'_>) {
    let own = around.public_url.map(|url| &url.authority);
    let host = |candidate: &Candidate<'_>| candidate.resource.host.clone().or_else(|| own.cloned());
    if earlier.resource.path == later.resource.path && host(earlier) == host(later) {
        later.item.report(
            "same path and host as another resource",
            "Change one of them",
        );
    }
}

/// A caller of one resource could send the identity header of the other to a server that both share.
fn refuse_forged_identity(trusting: &Resource, reported: &Candidate<'_>, passing: &Resource) {
    let is_shared = |own: &Upstream| passing.upstreams().any(|other| own.target == other.target);
    if !trusting.upstreams().any(is_shared) {
        return;
    }
    let fixed = passing.upstream_headers.fixed.iter();
    let mut passed = (passing.upstream_headers.passed.iter()).chain(fixed.map(|own| &own.name));
    let identity = trusting.own_headers();
    if let Some(name) = passed.find(|name| identity.contains(name)) {
        reported.item.report(
            format_args!(
                "{} sends {name} to the MCP server for which {} sends it as an identity header",
                passing.path, trusting.path
            ),
            "Use another name in `identity_headers` or `assertion`, or remove the header from `pass_headers` and `headers`",
        );
    }
}

/// A token for one of these resources would be accepted by the other (RFC 8707 §2, threat 15).
fn refuse_same_audience(earlier: &Candidate<'_>, later: &Candidate<'_>, known: &Issuers) {
    if earlier.shared_audience && later.shared_audience {
        return;
    }
    let (one, other) = (&earlier.resource, &later.resource);
    let shares_issuer = one.issuers.iter().any(|name| {
        let is_same = |other: &String| name == other || known.overlap(name, other);
        other.issuers.iter().any(is_same)
    });
    let shares_audience = one
        .audience
        .iter()
        .any(|value| other.audience.contains(value));
    let same_resource = one.uri == other.uri;
    if shares_issuer && shares_audience && !same_resource {
        later.item.report(
            format_args!(
                "accepts the same tokens as {}: both have the same issuer and audience",
                one.path
            ),
            "Set a different `audience` for each, or set `shared_audience: true` at both",
        );
    }
}
