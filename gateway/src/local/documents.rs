//! The documents that the gateway serves itself: protected resource metadata (RFC 9728), at the path-inserted URL of each
//! resource, with and without its final slash, and, where a host has only one resource, at the root as well; and the keys that
//! sign assertions about callers, where an upstream receives them.
//!
//! They are an axum router called in-process, so they are tested without sockets. They are public: no token, no Origin
//! check, readable from every web page.

use std::{collections::HashMap, convert::Infallible};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use mcp_gateway_core::{
    http::{
        authority::Authority,
        cors,
        path::other_spelling,
        resource_metadata::{ResourceMetadata, WELL_KNOWN, well_known_path},
    },
    token::{dpop::PROOF_ALGORITHMS, evidence::possession::Way},
};
use tower::ServiceExt;

use crate::config::{Config, Demand, Resource};

/// How long clients may cache a document.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Documents are served under this prefix only.
const PREFIX: &str = "/.well-known/";

/// Where upstreams find the keys that sign assertions (RFC 7517 §5).
pub(crate) const ASSERTION_KEYS: &str = "/.well-known/assertion-jwks.json";

/// The routers: one for each host that has its own resources, and one for all other hosts.
#[derive(Debug)]
pub(crate) struct Documents {
    by_host: HashMap<Authority, Router>,
    every_host: Router,
}

impl Documents {
    /// The documents of every resource in `config`, and the public keys of assertions.
    pub(crate) fn new(config: &Config, assertion_keys: Option<&Bytes>) -> Self {
        let scheme = config.public_url.scheme();
        let mut by_host: HashMap<Authority, Vec<&Resource>> = HashMap::new();
        let mut shared = Vec::new();
        for resource in &config.resources {
            match &resource.host {
                Some(host) => by_host
                    .entry(host.clone().for_scheme(scheme))
                    .or_default()
                    .push(resource),
                None => shared.push(resource),
            }
        }
        let router = |own: &[&Resource]| {
            let of_others = shared
                .iter()
                .filter(|shared| own.iter().all(|own| own.path != shared.path));
            let all: Vec<_> = own.iter().chain(of_others).copied().collect();
            router(config, &all, assertion_keys)
        };
        Self {
            by_host: by_host
                .iter()
                .map(|(host, own)| (host.clone(), router(own)))
                .collect(),
            every_host: router(&[]),
        }
    }

    /// Whether `path` is reserved for documents; such a path never goes to an upstream.
    pub(crate) fn claims(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// Answers a request for a document.
    pub(crate) async fn answer(&self, host: &Authority, request: Request) -> Response<Body> {
        let router = self.by_host.get(host).unwrap_or(&self.every_host);
        let answered: Result<_, Infallible> = router.clone().oneshot(request).await;
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn router(config: &Config, resources: &[&Resource], assertion_keys: Option<&Bytes>) -> Router {
    let mut router = Router::new();
    if let Some(keys) = assertion_keys {
        router = router.route(ASSERTION_KEYS, serve(keys.clone()));
    }
    for resource in resources {
        let own = document(config, resource, &resource.uri);
        let path = well_known_path(&resource.path);
        if resources.len() == 1 && path != WELL_KNOWN {
            router = router.route(WELL_KNOWN, serve(own.clone()));
        }
        let other_path = other_spelling(&resource.path);
        if resource.path == "/" {
            // The root has one URI; its metadata has two.
            router = router.route(&format!("{WELL_KNOWN}/"), serve(own.clone()));
        } else if resources.iter().all(|other| other.path != other_path) {
            // Clients compare `resource` with the URL that they were given (RFC 9728 §3.3).
            let other = document(config, resource, &other_spelling(&resource.uri));
            router = router.route(&well_known_path(&other_path), serve(other));
        }
        router = router.route(&path, serve(own));
    }
    router
}

fn document(config: &Config, resource: &Resource, uri: &str) -> Bytes {
    let issuers = resource.issuers.iter();
    let issuers = issuers.filter_map(|name| config.issuers.get(name));
    let mut servers = Vec::new();
    for server in issuers.flat_map(|issuer| &issuer.authorization_servers) {
        if !servers.contains(&server.as_str()) {
            servers.push(server.as_str());
        }
    }
    let scopes = resource
        .scope_prefixes
        .all_with_prefix(&resource.scopes_supported);
    let constraint = resource.sender_constraint.constraint();
    ResourceMetadata {
        resource: uri,
        authorization_servers: servers,
        scopes_supported: scopes.iter().collect(),
        resource_name: resource.name.as_deref(),
        resource_documentation: resource.documentation.as_deref(),
        dpop_algorithms: match constraint.accepts(Way::Dpop) {
            true => &PROOF_ALGORITHMS,
            false => &[],
        },
        requires_dpop: constraint.dpop == Demand::Require,
        accepts_certificate_bound: config.takes_client_certificates()
            && constraint.accepts(Way::MutualTls),
    }
    .to_json()
    .into()
}

fn serve(document: Bytes) -> MethodRouter {
    let json = HeaderValue::from_static("application/json");
    let headers = [
        (header::CONTENT_TYPE, json),
        (header::CACHE_CONTROL, CACHE_CONTROL),
        cors::public_header(),
    ];
    get(async move || (headers, document)).options(preflight)
}

async fn preflight(method: Method, headers: HeaderMap) -> Response<Body> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    debug_assert_eq!(method, Method::OPTIONS);
    response
        .headers_mut()
        .extend(cors::public_preflight_headers(&headers));
    response
}
