//! The checked configuration, as the rest of the gateway reads it: every reference resolves, every file was found fit,
//! every number lies in its range. Nothing parses YAML into these types directly, so the file format and they can
//! change apart.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use http::HeaderName;
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

/// What happens to request states (MCP 2026-07-28, multi round-trip requests).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestState {
    /// They pass: the upstream protects them itself.
    #[default]
    Upstream,
    /// Clients get them sealed, bound to the caller and the call.
    Seal,
}

/// Headers that tell the upstream who calls; `None` sends none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The subject claim.
    pub subject: Option<HeaderName>,
    /// The issuer identifier.
    pub issuer: Option<HeaderName>,
    /// The client id.
    pub client: Option<HeaderName>,
    /// The token's scopes.
    pub scope: Option<HeaderName>,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        Self {
            subject: Some(HeaderName::from_static("x-mcp-subject")),
            issuer: Some(HeaderName::from_static("x-mcp-issuer")),
            client: Some(HeaderName::from_static("x-mcp-client")),
            scope: Some(HeaderName::from_static("x-mcp-scope")),
        }
    }
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
            forwarded_header: ForwardedHeader::XForwardedFor,
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

/// Sizes and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in a request's header block.
    pub header_bytes: usize,
    /// Fields in a request's header block.
    pub header_fields: usize,
    /// Bytes in an access token.
    pub token_bytes: usize,
    /// Bytes in a request's body.
    pub body_bytes: usize,
    /// Bytes in all requests' bodies together; none where it follows from the memory.
    pub bodies_bytes: Option<usize>,
    /// Bytes of an upstream's answer, or of one of its events, that has to be read whole.
    pub answer_bytes: usize,
    /// Levels of nesting in a JSON body.
    pub json_depth: usize,
    /// Members and elements in a JSON body.
    pub json_members: usize,
    /// Connections open at once.
    pub connections: usize,
    /// Connections open at once from one address.
    pub connections_per_address: usize,
    /// Refusals in a minute that one address may cause before its requests are put off.
    pub refusals_per_address: u32,
    /// Bytes of memory the process may take; none where no limit is known.
    pub memory: Option<usize>,
    /// Streams open at once on one HTTP/2 connection.
    pub streams_per_connection: usize,
    /// Streams that only listen, open at once for one principal, over all resources.
    pub listening_streams_per_principal: usize,
    /// Streams that only listen, open at once in all.
    pub listening_streams: usize,
    /// Legacy sessions that one principal may open in a minute, over all resources.
    pub initializations_per_principal: u32,
    /// Callers whose calls are counted for rate limits at once, over all limits.
    pub rate_limited_callers: usize,
    /// Verified tokens remembered, for each resource.
    pub verified_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            header_fields: 100,
            token_bytes: 8 * 1024,
            body_bytes: 4 * 1024 * 1024,
            bodies_bytes: None,
            answer_bytes: 16 * 1024 * 1024,
            json_depth: 64,
            json_members: 10_000,
            connections: 10_000,
            connections_per_address: 200,
            refusals_per_address: 120,
            memory: None,
            streams_per_connection: 100,
            listening_streams_per_principal: 16,
            listening_streams: 10_000,
            initializations_per_principal: 60,
            rate_limited_callers: 100_000,
            verified_tokens: 10_000,
        }
    }
}

/// Deadlines (total) and idle times (between bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Deadline of the TLS handshake.
    pub handshake: Duration,
    /// Deadline of a request's header block.
    pub header: Duration,
    /// How long a connection may wait for its next request.
    pub keep_alive: Duration,
    /// How long a request's body may pause.
    pub body_idle: Duration,
    /// Deadline of a request's body.
    pub body_total: Duration,
    /// Deadline of the upstream's response head; none for GET and subscriptions.
    pub response_head: Duration,
    /// How long an answer to a call may go on after the caller's token has expired.
    pub max_after_expiry: Duration,
    /// How long a client may leave written bytes unread.
    pub write_idle: Duration,
    /// Silence on an event stream before a comment is sent; zero sends none.
    pub sse_comment: Duration,
    /// Deadline of a connection to the upstream, TLS included.
    pub upstream_connect: Duration,
    /// How long an unused connection to the upstream is kept.
    pub upstream_keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            body_idle: Duration::from_secs(10),
            body_total: Duration::from_secs(60),
            response_head: Duration::from_secs(300),
            max_after_expiry: Duration::from_secs(600),
            write_idle: Duration::from_secs(30),
            sse_comment: Duration::from_secs(25),
            upstream_connect: Duration::from_secs(5),
            upstream_keep_alive: Duration::from_secs(4),
        }
    }
}

/// How issuers' keys are fetched and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// Time between refreshes in the background.
    pub refresh: Duration,
    /// Least time between fetches that an unknown key id sets off.
    pub cool_down: Duration,
    /// How long keys are used while the issuer cannot be reached.
    pub stale: Duration,
    /// Deadline of one fetch.
    pub fetch: Duration,
    /// How long a request waits for a fetch.
    pub wait: Duration,
    /// Bytes in a metadata document or key set.
    pub bytes: usize,
}

impl Default for Jwks {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(300),
            cool_down: Duration::from_secs(30),
            stale: Duration::from_secs(3600),
            fetch: Duration::from_secs(5),
            wait: Duration::from_secs(2),
            bytes: 512 * 1024,
        }
    }
}

/// How changes of the configuration are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Files are watched; without it SIGHUP alone reads them again.
    pub watch: bool,
    /// How long files must have stayed as they are.
    pub settle: Duration,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            watch: true,
            settle: Duration::from_millis(200),
        }
    }
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long new connections are still accepted after SIGTERM, until load balancers have noticed.
    pub delay: Duration,
    /// How long requests and streams may then take to end.
    pub drain: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            drain: Duration::from_secs(30),
        }
    }
}

/// How session ids are sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Sealing keys: the first seals, every one opens; without any, a random one is made at each start.
    pub key_files: Vec<PathBuf>,
}

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object or one line of text for each event.
    pub format: LogFormat,
    /// The least severe events that are written.
    pub level: Level,
    /// Whether each request has a line.
    pub access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: Level::Info,
            access: true,
        }
    }
}

/// What is told of decisions on calls that may change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Whether each decision has a line.
    pub enabled: bool,
    /// Where lines are appended; among the log's without it.
    pub file: Option<PathBuf>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            enabled: true,
            file: None,
        }
    }
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Words for people.
    Text,
}

/// How severe an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The gateway, an issuer or an upstream is at fault.
    Error,
    /// Somebody should look.
    Warn,
    /// Ordinary events.
    Info,
    /// Everything.
    Debug,
}
