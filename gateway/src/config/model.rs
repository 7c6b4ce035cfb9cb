//! The checked configuration, as the rest of the gateway reads it: every reference is resolved, every file was usable, every
//! number is in its range. YAML is never parsed into these types directly, so that the file format and the types can change
//! independently. Sections with numbers and switches are declared in [`declaration`](super::declaration).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use http::HeaderName;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use mcp_gateway_core::{
    http::{
        authority::{Authority, Scheme},
        client_address::{ClientAddress, CountedAddress, ForwardedHeader, Networks},
        origin::{AllowedOrigin, Origin},
        outbound::key_pin::KeyPin,
        query::ClientQuery,
    },
    mcp::{supported::Supported, tasks::Tasks},
    policy::Policy,
    rate::RateLimit,
    scope::ScopeSet,
    scope_prefix::ScopePrefixes,
    token::api_key::ring::KeyRing,
};
use mcp_gateway_oauth::redirect_uri::OwnOrigin;

pub use super::issuer::{
    ForwardProxy, Introspection, Issuer, IssuerName, KeySource, Route, UsedFor,
};
use crate::config::{
    authorization_server::{AuthorizationServer, SharedStore},
    declaration::{
        credentials::assertions::{Assertions, UpstreamAssertion},
        document::{CLIENT_CERTIFICATE_HEADER, ClientCertificateHeader, FORWARDED_HEADER},
        identity_headers::IdentityHeaders,
        limits::Limits,
        listen::ClientCertificates,
        policy::decision_point::DecisionPointSettings,
        process::{Audit, Log, Reload, Shutdown},
        rate_limit::SharedRateLimits,
        resource::{
            EjectionSettings, EventIds, HealthCheckSettings, QueueSettings, RequestState,
            SenderConstraint, Transport,
        },
        timeouts::{Jwks, Timeouts},
    },
    outgoing::credentials::UpstreamCredentials,
    secret::SecretHeader,
};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The URL that clients use. Resource URIs are built from it, never from a request.
    pub public_url: PublicUrl,
    /// Where clients connect; at least one.
    pub listen: Vec<Listener>,
    /// The admin listener.
    pub admin: Admin,
    /// Accepted `Host` values in addition to those of the public URL and the resources.
    pub hosts: Vec<Authority>,
    /// The built-in authorization server, if any.
    pub authorization_server: Option<AuthorizationServer>,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Authorization servers, by the name that resources use; the built-in one too.
    pub issuers: BTreeMap<String, Issuer>,
    /// How issuers are reached that do not say it themselves.
    pub outbound: Route,
    /// Decision points, by the name that resources use.
    pub decision_points: BTreeMap<String, DecisionPoint>,
    /// The protected resources; at least one.
    pub resources: Vec<Resource>,
    /// Allowed browser origins in addition to that of the public URL.
    pub origins: Vec<AllowedOrigin>,
    /// Proxies that are trusted to name the client, and addresses that are exempt from limits per address.
    pub addresses: Addresses,
    /// Limits of sizes and counts.
    pub limits: Limits,
    /// Deadlines and idle timeouts.
    pub timeouts: Timeouts,
    /// How the keys of issuers are fetched and cached.
    pub jwks: Jwks,
    /// How changes of the configuration are applied.
    pub reload: Reload,
    /// How the process shuts down.
    pub shutdown: Shutdown,
    /// The unix socket by which a running process hands its listening sockets to a new process; none without upgrades.
    pub upgrade_socket: Option<PathBuf>,
    /// Keys that seal session ids.
    pub sessions: Sessions,
    /// Keys that sign assertions about callers.
    pub assertions: Assertions,
    /// How several gateways count rate limits together; none where each counts for itself.
    pub shared_rates: Option<SharedRates>,
    /// The operational log and the access log.
    pub log: Log,
    /// The audit log.
    pub audit: Audit,
}

/// Rate limits that several gateways count together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRates {
    /// Where they are counted.
    pub store: SharedStore,
    /// How it is asked.
    pub settings: SharedRateLimits,
}

impl Config {
    /// The stores that several gateways share.
    pub fn stores(&self) -> impl Iterator<Item = &SharedStore> {
        let server = self.authorization_server.as_ref();
        let rates = self.shared_rates.as_ref().map(|rates| &rates.store);
        let own = server.and_then(|server| server.store.as_ref());
        own.into_iter().chain(rates)
    }

    /// Whether clients can present certificates: at a listener, or to a proxy that names them.
    pub fn takes_client_certificates(&self) -> bool {
        takes_client_certificates(&self.listen, &self.addresses)
    }

    /// Whether assertions are signed with a key that only this process has.
    pub fn has_lone_assertions(&self) -> bool {
        self.assertions.key_files.is_empty() && self.signs_assertions()
    }

    /// Whether an upstream receives assertions.
    pub fn signs_assertions(&self) -> bool {
        self.resources.iter().any(|own| own.assertion.is_some())
    }

    /// What only this process can open, because there is no key file: sessions where a resource accepts legacy protocol versions, and
    /// what a resource seals besides.
    pub fn lost_at_restart(&self) -> Vec<&'static str> {
        if !self.sessions.key_files.is_empty() {
            return Vec::new();
        }
        let may_be_legacy = |resource: &Resource| {
            let supported = resource.supported.as_ref();
            supported.is_none_or(Supported::has_legacy)
        };
        let any = |is: &dyn Fn(&Resource) -> bool| self.resources.iter().any(is);
        let sealed = [
            ("sessions", any(&may_be_legacy)),
            ("task ids", any(&|resource| resource.tasks == Tasks::Seal)),
            (
                "request states",
                any(&|resource| resource.request_state == RequestState::Seal),
            ),
            (
                "DPoP nonces",
                any(&|resource| resource.sender_constraint.dpop_nonces),
            ),
        ];
        let used = sealed.into_iter().filter(|(_, is_used)| *is_used);
        used.map(|(what, _)| what).collect()
    }
}

/// Whether clients can present certificates: at one of these listeners, or to a proxy that names them.
pub(super) fn takes_client_certificates(listen: &[Listener], addresses: &Addresses) -> bool {
    let mut tls = listen.iter().filter_map(|listener| listener.tls.as_ref());
    let has_header = addresses.certificate_header != ClientCertificateHeader::None;
    tls.any(Tls::takes_client_certificates) || (has_header && reads_proxy_headers(listen))
}

/// Whether a trusted proxy can name certificates in a header: not where it sends a PROXY protocol header, because it then passes the
/// client's handshake on.
pub(super) fn reads_proxy_headers(listen: &[Listener]) -> bool {
    listen.iter().any(|listener| !listener.proxy_protocol)
}

/// Scheme and authority of the URL that clients use, without path and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https`, or `http` for loopback or where a listener has `plain_http`.
    pub scheme: Scheme,
    /// Host and port, without the default port of the scheme.
    pub authority: Authority,
}

impl PublicUrl {
    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The origin of this URL, as browsers send it (RFC 6454).
    pub fn origin(&self) -> Origin {
        Origin::new(self.scheme, self.authority.clone())
    }

    /// The same, as redirect URIs are compared with it: answers must not go to this server itself.
    pub fn own_origin(&self) -> OwnOrigin {
        OwnOrigin {
            scheme: self.scheme.as_str(),
            host: self.authority.host().to_owned(),
            port: self.authority.port_or_default(self.scheme),
        }
    }

    /// This URL with an absolute path.
    pub fn join(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }
}

/// One address where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port; port 0 selects a free port.
    pub address: SocketAddr,
    /// TLS; without it the listener uses plain HTTP.
    pub tls: Option<Tls>,
    /// Plain HTTP was configured explicitly, which is required on other addresses than loopback.
    pub plain_http: bool,
    /// Trusted proxies connect here and send a PROXY protocol header (version 2) first. Other connections are rejected.
    pub proxy_protocol: bool,
}

/// A listener's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Selected by SNI from the names in them; the first is used for all other names.
    pub certificates: Vec<CertificateFiles>,
    /// CA certificates for client certificates: a client without a certificate from one of them is rejected.
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate of any origin, where there are no CA certificates.
    pub client_certificates: ClientCertificates,
}

impl Tls {
    /// Whether clients can present a certificate here.
    pub fn takes_client_certificates(&self) -> bool {
        self.client_ca.is_some() || self.client_certificates == ClientCertificates::Request
    }

    /// Every file that handshakes depend on.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pairs = self.certificates.iter();
        pairs
            .flat_map(|pair| [&pair.certificate, &pair.private_key])
            .chain(&self.client_ca)
    }
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's certificate first.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC 1.
    pub private_key: PathBuf,
}

/// The admin listener: metrics, liveness, readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address and port, loopback unless configured.
    pub address: SocketAddr,
    /// Accepted host names, in addition to IP addresses and `localhost`.
    pub hosts: Vec<Authority>,
}

/// One protected resource: an MCP server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The exact path.
    pub path: String,
    /// Served only for this host; without it, for every host.
    pub host: Option<Authority>,
    /// The resource URI (RFC 8707): scheme, host and path.
    pub uri: String,
    /// The MCP server; the first one where it has several instances.
    pub upstream: Upstream,
    /// Its instances, and how calls are spread over them.
    pub balancing: Balancing,
    /// The transport of the MCP server and of the clients.
    pub transport: Transport,
    /// Names of the issuers whose tokens are accepted; at least one where API keys are not accepted.
    pub issuers: Vec<String>,
    /// How API keys are accepted; none where they are not.
    pub api_keys: Option<AcceptedApiKeys>,
    /// Accepted `aud` values; at least one.
    pub audience: Vec<String>,
    /// `resource_name` of the metadata (RFC 9728 §2).
    pub name: Option<String>,
    /// `resource_documentation` of the metadata (RFC 9728 §2).
    pub documentation: Option<String>,
    /// Scopes that every call requires.
    pub scopes_required: ScopeSet,
    /// Scopes in the metadata.
    pub scopes_supported: ScopeSet,
    /// What scopes allow, each in a sentence for people.
    pub scope_descriptions: BTreeMap<String, String>,
    /// What authorization servers have before these scopes.
    pub scope_prefixes: ScopePrefixes,
    /// Which calls are allowed.
    pub policy: Policy,
    /// The decision point that is asked about calls that the policy permits.
    pub decision_point: Option<String>,
    /// Rate limits. A call must be within each of them.
    pub rate_limits: Vec<RateLimit>,
    /// How task ids are handled.
    pub tasks: Tasks,
    /// How request states are handled.
    pub request_state: RequestState,
    /// How event ids are handled.
    pub event_ids: EventIds,
    /// Headers that pass the identity of the caller to the upstream.
    pub identity_headers: IdentityHeaders,
    /// Whether tokens are bound to their sender.
    pub sender_constraint: SenderConstraint,
    /// The assertion about the caller that the upstream receives; none where it receives none.
    pub assertion: Option<UpstreamAssertion>,
    /// Other headers of requests to the upstream.
    pub upstream_headers: UpstreamHeaders,
    /// The gateway's own credentials for the upstream, if any.
    pub upstream_credentials: Option<UpstreamCredentials>,
    /// What happens to the client's query.
    pub query: ClientQuery,
    /// Deadline of the response head of the upstream.
    pub response_head: Duration,
    /// Accepted protocol versions; none where the upstream decides.
    pub supported: Option<Supported>,
}

/// API keys, and the files that list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys {
    /// The key files; none without the section.
    pub files: Vec<PathBuf>,
    /// The keys in them.
    pub ring: Arc<KeyRing>,
}

/// How a resource accepts API keys, beside `Authorization: Bearer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedApiKeys {
    /// The header that has the key instead.
    pub header: Option<HeaderName>,
}

/// A decision point: somebody who decides about calls that a policy permits (OpenID AuthZEN).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionPoint {
    /// The name that resources use.
    pub name: String,
    /// Its URL, without a final slash.
    pub url: String,
    /// How the gateway authenticates there.
    pub proof: DecisionPointProof,
    /// CA certificates for reaching it, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// How it is reached.
    pub route: Route,
    /// Claims that it receives.
    pub claims: BTreeSet<String>,
    /// Arguments that it receives.
    pub arguments: BTreeSet<String>,
    /// Whether it receives the address of the client.
    pub client_address: bool,
    /// Deadline of all answers that one call or list needs.
    pub total_timeout: Duration,
    /// How it is asked.
    pub settings: DecisionPointSettings,
}

/// How the gateway authenticates at a decision point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionPointProof {
    /// It does not.
    None,
    /// With the bearer token in this file.
    Bearer(PathBuf),
    /// With user name and password in this file.
    Basic(PathBuf),
}

/// An MCP server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// How it is reached.
    pub target: UpstreamTarget,
    /// The `Host` header of requests to it (`:authority` in HTTP/2). TLS names the host of the target.
    pub host: String,
    /// The path of requests to it.
    pub path: String,
    /// The query of requests to it.
    pub query: Option<String>,
    /// Whether requests share HTTP/2 connections: over TLS where the server chooses HTTP/2, without TLS always.
    pub http2: bool,
}

/// One instance of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedUpstream {
    /// How it is reached.
    pub upstream: Upstream,
    /// Its share of the calls, relative to the others.
    pub weight: u32,
}

/// The instances of an MCP server, and how calls are spread over them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// The instances; empty where there is only [`Resource::upstream`].
    pub endpoints: Vec<WeightedUpstream>,
    /// How often the name of the upstream is resolved; none where its addresses are not endpoints of their own.
    pub resolve: Option<Duration>,
    /// How endpoints are checked.
    pub health_check: Option<HealthCheck>,
    /// When endpoints whose calls fail are left out.
    pub ejection: EjectionSettings,
    /// The most calls of one endpoint.
    pub max_calls: Option<usize>,
    /// How calls wait for an endpoint.
    pub queue: QueueSettings,
}

impl Resource {
    /// Each instance of the MCP server, as it is configured.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let several = self.balancing.endpoints.iter().map(|one| &one.upstream);
        let single = self
            .balancing
            .endpoints
            .is_empty()
            .then_some(&self.upstream);
        single.into_iter().chain(several)
    }
}

impl Balancing {
    /// Whether there is more than one endpoint, or may be.
    pub fn has_several(&self) -> bool {
        self.endpoints.len() > 1 || self.resolve.is_some()
    }
}

/// How endpoints are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked, and how often.
    pub settings: HealthCheckSettings,
    /// The path of a GET request; none for that of the endpoint.
    pub path: Option<String>,
}

/// Headers of requests to an upstream, beyond those that every upstream gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamHeaders {
    /// Headers of the client that are passed on.
    pub passed: Vec<HeaderName>,
    /// Headers with a value of the operator's; they replace the client's.
    pub fixed: Vec<FixedHeader>,
}

/// A header with a value of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedHeader {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: FixedValue,
}

/// Where the value of a header comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixedValue {
    /// From the configuration.
    Text(SecretHeader),
    /// From this file, read at start and when it changes.
    File(PathBuf),
}

/// How an upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTarget {
    /// Plain HTTP.
    Http {
        /// Host and port.
        authority: Authority,
    },
    /// HTTP over TLS.
    Https {
        /// Host and port.
        authority: Authority,
        /// Who is expected there, and who the gateway is.
        tls: UpstreamTls,
    },
    /// Plain HTTP over a unix socket.
    Unix {
        /// The socket's path.
        socket: PathBuf,
    },
}

/// TLS to an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// CA certificates, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The gateway's own certificate.
    pub certificate: Option<CertificateFiles>,
    /// The name that the certificate of the upstream must have, instead of the host of its URL.
    pub server_name: Option<String>,
    /// The keys that the upstream's own certificate may have; any key where there are none.
    pub pins: Vec<KeyPin>,
}

impl UpstreamTls {
    /// Every file that connections depend on.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let pair = self.certificate.iter();
        pair.flat_map(|pair| [&pair.certificate, &pair.private_key])
            .chain(&self.ca_file)
    }
}

/// Proxies that are trusted to name the client, and addresses that are exempt from limits per address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Peers whose PROXY protocol header or forwarded header is trusted.
    pub trusted_proxies: Networks,
    /// The header in which they name the client, on listeners without PROXY protocol.
    pub forwarded_header: ForwardedHeader,
    /// The header in which they name the client's certificate.
    pub certificate_header: ClientCertificateHeader,
    /// Clients that are exempt from limits per address.
    pub exempt: Networks,
}

impl Resource {
    /// Names of headers for the upstream that the gateway alone sets: upstreams trust them.
    pub fn own_headers(&self) -> Vec<&HeaderName> {
        let assertion = self.assertion.iter().flat_map(UpstreamAssertion::names);
        self.identity_headers
            .names()
            .into_iter()
            .chain(assertion)
            .collect()
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            trusted_proxies: Networks::default(),
            forwarded_header: FORWARDED_HEADER.default(),
            certificate_header: CLIENT_CERTIFICATE_HEADER.default(),
            exempt: Networks::new(PRIVATE.to_vec()),
        }
    }
}

impl Addresses {
    /// What limits per address count this client under: nothing for proxies, which have many clients, and for exempt addresses.
    pub fn counted(&self, client: ClientAddress) -> Option<CountedAddress> {
        let is_exempt =
            |address| self.trusted_proxies.contains(address) || self.exempt.contains(address);
        client.counted_unless(is_exempt)
    }
}

/// Loopback, private (RFC 1918), unique local (RFC 4193) and link-local addresses.
const PRIVATE: [IpNet; 8] = [
    v4([127, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([169, 254, 0, 0], 16),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
];

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
    IpNet::V6(Ipv6Net::new_assert(address, prefix))
}

/// How session ids are sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Sealing keys: the first seals, every key opens. Without any, each start generates a random key.
    pub key_files: Vec<PathBuf>,
}
