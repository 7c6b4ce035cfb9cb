//! The checked configuration, as the rest of the gateway reads it: every reference resolves, every file was found fit,
//! every number lies in its range. Nothing parses YAML into these types directly, so the file format and they can
//! change apart. Sections of numbers and switches are declared in [`declaration`](super::declaration).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use mcp_gateway_core::{
    http::{
        authority::{Authority, Scheme},
        client_address::{ForwardedHeader, Networks},
        origin::Origin,
    },
    mcp::{supported::Supported, tasks::Tasks},
    policy::Policy,
    rate::RateLimit,
    scope::ScopeSet,
    token::algorithm::Algorithm,
};

use crate::config::declaration::{
    document::FORWARDED_HEADER,
    identity_headers::IdentityHeaders,
    limits::Limits,
    process::{Audit, Log, Reload, Shutdown},
    resource::RequestState,
    timeouts::{Jwks, Timeouts},
};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// What clients type; resource URIs are built from it, never from a request.
    pub public_url: PublicUrl,
    /// Where clients connect; at least one.
    pub listen: Vec<Listener>,
    /// The admin listener.
    pub admin: Admin,
    /// `Host` values served besides the public URL's and the resources' own.
    pub hosts: Vec<Authority>,
    /// Authorization servers, by the name that resources use.
    pub issuers: BTreeMap<String, Issuer>,
    /// The protected resources; at least one.
    pub resources: Vec<Resource>,
    /// Browser origins allowed besides the public URL's own.
    pub origins: Vec<Origin>,
    /// Whose word on a client's address counts, and who is not limited by it.
    pub addresses: Addresses,
    /// Sizes and counts.
    pub limits: Limits,
    /// Deadlines and idle times.
    pub timeouts: Timeouts,
    /// How issuers' keys are fetched and kept.
    pub jwks: Jwks,
    /// How changes of the configuration are taken.
    pub reload: Reload,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// Where a running process hands its sockets to its successor; none without it.
    pub upgrade_socket: Option<PathBuf>,
    /// How session ids are sealed.
    pub sessions: Sessions,
    /// What is logged.
    pub log: Log,
    /// What is told of calls that may change something.
    pub audit: Audit,
}

impl Config {
    /// Whether sessions can begin that nobody but this process can open: there is no key for them, and a resource that may
    /// be of the legacy era.
    pub fn has_lone_sessions(&self) -> bool {
        let may_be_legacy = |resource: &Resource| {
            resource
                .supported
                .as_ref()
                .is_none_or(Supported::has_legacy)
        };
        self.sessions.key_files.is_empty() && self.resources.iter().any(may_be_legacy)
    }
}

/// Scheme and authority that clients type: no path, no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https`, or `http` towards loopback or where a listener says `plain_http`.
    pub scheme: Scheme,
    /// Host and port, the scheme's default port left out.
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

    /// This URL with an absolute path behind it.
    pub fn join(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }
}

/// One address where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS; without it the listener speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Plain HTTP was asked for in so many words: needed beyond loopback.
    pub plain_http: bool,
    /// Listed proxies connect here and send a PROXY protocol header (version 2) first; nobody else is served.
    pub proxy_protocol: bool,
}

/// A listener's certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Chosen by SNI from the names in them; the first answers everything else.
    pub certificates: Vec<CertificateFiles>,
    /// Authorities of client certificates: with them, a client without a certificate of theirs is not served.
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    /// Every file that decides a handshake: when one changes, handshakes change.
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
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC 1.
    pub private_key: PathBuf,
}

/// The admin listener: metrics, liveness, readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address and port, loopback unless configured.
    pub address: SocketAddr,
}

/// An authorization server whose tokens are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The name that resources use.
    pub name: String,
    /// The issuer identifier, compared as a string (RFC 8414 §2, RFC 9207 §2.4).
    pub issuer: String,
    /// Accepted `typ` values, in lower case and without `application/`; an empty string stands for none at all.
    pub token_types: Vec<String>,
    /// Accepted `alg` values.
    pub algorithms: Vec<Algorithm>,
    /// Where the keys come from.
    pub keys: KeySource,
    /// Certificates that are trusted when fetching, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Metadata and keys may be fetched over plain HTTP beyond loopback.
    pub allow_http: bool,
    /// Claims that hold scopes.
    pub scope_claims: Vec<String>,
    /// The claim that names the principal.
    pub subject_claim: String,
    /// How far this clock and the issuer's may differ.
    pub clock_skew: Duration,
    /// The longest life of a token, from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// JOSE header parameters that are ignored rather than refused.
    pub ignored_headers: Vec<String>,
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
}

/// One protected resource: an MCP server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The exact path.
    pub path: String,
    /// Served under this host alone; otherwise under every host.
    pub host: Option<Authority>,
    /// The resource URI (RFC 8707): scheme, host and path.
    pub uri: String,
    /// The MCP server.
    pub upstream: Upstream,
    /// Names of the issuers whose tokens are accepted; at least one.
    pub issuers: Vec<String>,
    /// Accepted `aud` values; at least one.
    pub audience: Vec<String>,
    /// `resource_name` of the metadata (RFC 9728 §2).
    pub name: Option<String>,
    /// `resource_documentation` of the metadata (RFC 9728 §2).
    pub documentation: Option<String>,
    /// Scopes that every call takes.
    pub scopes_required: ScopeSet,
    /// Scopes told in the metadata.
    pub scopes_supported: ScopeSet,
    /// What a principal may call.
    pub policy: Policy,
    /// How often it may be called; every limit holds.
    pub rate_limits: Vec<RateLimit>,
    /// What happens to the ids of tasks.
    pub tasks: Tasks,
    /// What happens to request states.
    pub request_state: RequestState,
    /// Headers that tell the upstream who calls.
    pub identity_headers: IdentityHeaders,
    /// How long the upstream may take until its response head.
    pub response_head: Duration,
    /// The protocol versions that are served; none where the upstream decides.
    pub supported: Option<Supported>,
}

/// An MCP server behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// How it is reached.
    pub target: UpstreamTarget,
    /// The `Host` it is sent.
    pub host: String,
    /// The path it is asked for.
    pub path: String,
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
        /// Certificates that are trusted instead of the system's.
        ca_file: Option<PathBuf>,
    },
    /// Plain HTTP over a unix socket.
    Unix {
        /// The socket's path.
        socket: PathBuf,
    },
}

/// Whose word on a client's address counts, and who is not limited by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Peers whose PROXY protocol header or forwarded header is believed.
    pub trusted_proxies: Networks,
    /// The header they name the client in, on listeners without PROXY protocol.
    pub forwarded_header: ForwardedHeader,
    /// Clients that no limit by address applies to.
    pub exempt: Networks,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            trusted_proxies: Networks::default(),
            forwarded_header: FORWARDED_HEADER.default(),
            exempt: Networks::new(PRIVATE.to_vec()),
        }
    }
}

impl Addresses {
    /// Whether limits by address apply to this one: not to proxies, who speak for many, and not to exempt ones.
    pub fn is_limited(&self, address: IpAddr) -> bool {
        !self.trusted_proxies.contains(address) && !self.exempt.contains(address)
    }
}

/// Loopback, private (RFC 1918), unique local (RFC 4193) and link-local addresses: one's own machines.
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
    /// Sealing keys: the first seals, every one opens; without any, a random one is made at each start.
    pub key_files: Vec<PathBuf>,
}
