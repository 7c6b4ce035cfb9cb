//! An authorization server whose tokens are accepted: what its tokens look like, and how its keys are fetched.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mcp_gateway_core::{
    http::{
        authority::{Authority, Scheme},
        outbound::no_proxy::NoProxy,
    },
    token::{algorithm::Algorithm, claim_path::ClaimPath, introspection::endpoint::Kind},
};

use super::{
    declaration::issuer::introspection::IntrospectionSettings,
    outgoing::client_proof::ClientProofFile,
};

/// An authorization server whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The name that resources use.
    pub name: String,
    /// The issuer identifier as it is written, the first if there are several; perhaps a template. Discovery begins there.
    pub issuer: String,
    /// What its tokens may have as `iss`, compared as strings (RFC 8414 §2, RFC 9207 §2.4).
    pub names: Vec<IssuerName>,
    /// The `authorization_servers` in the metadata (RFC 9728 §2).
    pub authorization_servers: Vec<String>,
    /// Accepted `typ` values, in lower case and without `application/`; an empty string accepts tokens without `typ`.
    pub token_types: Vec<String>,
    /// Accepted `alg` values.
    pub algorithms: Vec<Algorithm>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// CA certificates for fetching, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Metadata and keys can be fetched over plain HTTP from other hosts than loopback.
    pub allow_http: bool,
    /// The bearer token that is sent when fetching.
    pub bearer_file: Option<PathBuf>,
    /// How it is reached for fetching.
    pub route: Route,
    /// Claims that contain scopes.
    pub scope_claims: Vec<ClaimPath>,
    /// The claim with the subject of the principal.
    pub subject_claim: ClaimPath,
    /// Claims with the client; the first that a token has is read.
    pub client_claims: Vec<ClaimPath>,
    /// Allowed difference between the clocks of the issuer and the gateway.
    pub clock_skew: Duration,
    /// Longest lifetime of a token, from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// JOSE header parameters that are ignored instead of refused.
    pub ignored_headers: Vec<String>,
    /// What its keys are for.
    pub used_for: UsedFor,
    /// How it is asked about its tokens, instead of verifying their signatures.
    pub introspection: Option<Introspection>,
}

/// How an issuer is asked about its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introspection {
    /// What is asked.
    pub kind: Kind,
    /// The URL of the endpoint, instead of that of the metadata.
    pub endpoint: Option<String>,
    /// Our client ids there, the one that asks first.
    pub client_ids: Vec<String>,
    /// How the gateway authenticates there.
    pub proof: ClientProofFile,
    /// How often it is asked, and how long its answers hold.
    pub settings: IntrospectionSettings,
}

/// What the keys of an issuer are for: what stops when they cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsedFor {
    /// Access tokens that are presented to resources.
    Resources,
    /// ID tokens of people who sign in with it as a provider.
    SigningIn,
    /// Tokens that are presented to the token endpoint of the built-in authorization server.
    TrustedTokens,
}

/// A name of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerName {
    /// The value of `iss`.
    pub issuer: Arc<str>,
    /// The tenant in it, which `tid` must name.
    pub tenant: Option<Arc<str>>,
}

impl Issuer {
    /// Its name in a token with this `iss`.
    pub fn named(&self, iss: &str) -> Option<&IssuerName> {
        self.names.iter().find(|name| *name.issuer == *iss)
    }

    /// Its names for one tenant; all of them for an issuer without tenants.
    pub fn names_of<'a>(&'a self, tenant: Option<&'a str>) -> impl Iterator<Item = &'a Arc<str>> {
        let own = move |name: &&IssuerName| name.tenant.as_deref() == tenant;
        self.names.iter().filter(own).map(|name| &name.issuer)
    }

    /// Whether its tokens can name several tenants.
    pub fn has_several_tenants(&self) -> bool {
        let mut names = self.names.iter();
        let first = names.next().map(|name| &name.tenant);
        names.any(|name| Some(&name.tenant) != first)
    }

    /// Whether resources take its tokens: the token endpoint alone takes those of trusted issuers.
    pub fn is_for_calls(&self) -> bool {
        self.used_for == UsedFor::Resources
    }

    /// Whether a token could be from both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.names
            .iter()
            .any(|name| other.named(&name.issuer).is_some())
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// From the issuer's metadata: RFC 8414, then OpenID Connect Discovery.
    Discovery,
    /// From this URL.
    Uri(String),
    /// From this file, a JWK set (RFC 7517 §5).
    File(PathBuf),
    /// From the built-in authorization server, in this process.
    BuiltIn,
    /// Nowhere: the issuer is asked about each token.
    Introspection,
}

impl KeySource {
    /// The file, if they come from one.
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(file) => Some(file),
            Self::Discovery | Self::Uri(_) | Self::BuiltIn | Self::Introspection => None,
        }
    }
}

/// How the gateway reaches an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Directly, because no proxy is configured.
    Unset,
    /// Directly, as configured.
    Direct,
    /// Through a forward proxy.
    Proxy(ForwardProxy),
}

/// A forward proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardProxy {
    /// `https` where the connection to the proxy itself uses TLS.
    pub scheme: Scheme,
    /// Host and port, without the default port of the scheme.
    pub authority: Authority,
    /// A file with user name and password.
    pub credentials_file: Option<PathBuf>,
    /// Destinations that are reached directly.
    pub no_proxy: NoProxy,
    /// CA certificates for the proxy itself, instead of the system's.
    pub ca_file: Option<PathBuf>,
}
