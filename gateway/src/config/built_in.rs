//! What follows from the section of the built-in authorization server: the issuer that resources trust, and the server's profile.

use std::{sync::Arc, time::Duration};

use mcp_gateway_core::token::{algorithm::Algorithm, claim_path::ClaimPath};
use mcp_gateway_oauth::profile::{ResourceProfile, ScopeProfile, ServerProfile};

use crate::config::{
    authorization_server::AuthorizationServer,
    model::{Config, Issuer, IssuerName, KeySource, Resource, Route, UsedFor},
};

/// The name of the built-in issuer in `issuers` of resources, in logs and in metrics. No configured issuer can have it.
pub const BUILT_IN: &str = "built-in";

/// Allowed difference between the clock that signed a token and the clock that judges it. Both are of this machine, which may
/// set its clock back a little.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

/// The longest lifetime of a token that is accepted: that of the longest `lifetimes.access_token`, so that tokens of before a
/// reload stay valid.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The algorithms of its keys. All of them, because keys of before a change of `signing.algorithm` verify the tokens that they
/// signed.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa];

/// The server as an issuer that resources trust. Its keys are never fetched.
pub(super) fn issuer(server: &AuthorizationServer) -> Issuer {
    Issuer {
        name: BUILT_IN.to_owned(),
        issuer: server.issuer.clone(),
        names: vec![IssuerName {
            issuer: Arc::from(server.issuer.as_str()),
            tenant: None,
        }],
        authorization_servers: vec![server.issuer.clone()],
        token_types: vec!["at+jwt".to_owned()],
        algorithms: ALGORITHMS.to_vec(),
        keys: KeySource::BuiltIn,
        ca_file: None,
        allow_http: false,
        bearer_file: None,
        route: Route::Unset,
        scope_claims: vec![ClaimPath::named("scope")],
        subject_claim: ClaimPath::named("sub"),
        client_claims: vec![ClaimPath::named("client_id")],
        clock_skew: CLOCK_SKEW,
        max_lifetime: MAX_LIFETIME,
        ignored_headers: Vec::new(),
        used_for: UsedFor::Resources,
        introspection: None,
    }
}

impl Config {
    /// What the built-in authorization server is; none without its section.
    pub fn server_profile(&self) -> Option<ServerProfile> {
        let server = self.authorization_server.as_ref()?;
        let own = |resource: &&Resource| resource.trusts_built_in();
        Some(ServerProfile {
            issuer: server.issuer.clone(),
            resources: self.resources.iter().filter(own).map(profile).collect(),
            lifetimes: server.lifetimes,
        })
    }

    /// Every issuer whose keys are kept: those of resources, and those that the authorization server trusts. Each has a name that no
    /// other has.
    pub(crate) fn kept_issuers(&self) -> impl Iterator<Item = &Issuer> {
        let server = self.authorization_server.iter();
        let trusted = server.flat_map(|server| &server.trusted_issuers);
        self.issuers
            .values()
            .filter(|issuer| issuer.introspection.is_none())
            .chain(trusted.map(|trusted| &trusted.keys))
    }

    /// Keeps what only a restart changes of the authorization server that `started` began with: the directory and the issuer.
    pub(crate) fn keep_started(&mut self, started: &Self) {
        let (Some(own), Some(started)) = (
            &mut self.authorization_server,
            &started.authorization_server,
        ) else {
            return;
        };
        own.directory.clone_from(&started.directory);
        own.issuer.clone_from(&started.issuer);
        own.demo.clone_from(&started.demo);
        self.issuers.insert(BUILT_IN.to_owned(), issuer(own));
    }
}

impl Resource {
    /// Whether the built-in authorization server issues tokens for it.
    pub fn trusts_built_in(&self) -> bool {
        self.issuers.iter().any(|name| name == BUILT_IN)
    }
}

/// A resource as the server knows it. Scopes are spelled as in challenges and metadata, where clients read them.
fn profile(resource: &Resource) -> ResourceProfile {
    let prefixes = &resource.scope_prefixes;
    let scope = |scope: &str| ScopeProfile {
        scope: prefixes.with_prefix(scope).into_owned(),
        description: resource.scope_descriptions.get(scope).cloned(),
    };
    ResourceProfile {
        uri: resource.uri.clone(),
        name: resource.name.clone(),
        required: (prefixes.all_with_prefix(&resource.scopes_required)).into_owned(),
        scopes: resource.scopes_supported.iter().map(scope).collect(),
        scope_prefixes: prefixes.clone(),
    }
}
