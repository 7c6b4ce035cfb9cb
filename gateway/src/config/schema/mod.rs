//! The configuration's keys as a JSON Schema, for editors: completion, help on hover, and a mark under what is wrong.
//!
//! These types mirror the YAML and are never filled; the reading is done elsewhere, because it has to tell every problem
//! with its place. Tests hold that both know the same keys. A comment here is what an editor shows.

#![allow(dead_code, reason = "only the shape of these types is used")]

mod values;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use values::{
    Count, Decision, Flag, ForwardedHeader, Hide, Level, LogFormat, Method, Per, RequestState,
    Size, Tasks, Time,
};

/// The JSON Schema (2020-12) of the configuration.
pub fn json_schema() -> Schema {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Document>()
}

/// Configuration of mcp-gateway. ${NAME} and ${NAME:-default} are taken from the environment; $$ is a dollar sign.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "mcp-gateway")]
struct Document {
    /// What clients type: scheme and host, without a path. Resource URIs are built from it, never from a request.
    public_url: String,
    /// Where clients connect.
    #[schemars(length(min = 1))]
    listen: Vec<Listen>,
    /// The listener for /metrics, /livez and /readyz.
    admin: Option<Admin>,
    /// Host values served besides the public URL's and the resources' own, such as mcp.internal:8443. Default: none.
    hosts: Option<Vec<String>>,
    /// Addresses and networks of proxies whose PROXY protocol or forwarded header is believed. Default: none.
    trusted_proxies: Option<Vec<String>>,
    /// The one header in which they name the client: x-forwarded-for or forwarded (RFC 7239). Default: x-forwarded-for.
    forwarded_header: Option<ForwardedHeader>,
    /// Browser origins allowed besides the public URL's own, such as `https://app.example.com`. Default: none.
    origins: Option<Vec<String>>,
    /// Authorization servers whose tokens are accepted, by a name that resources use.
    issuers: BTreeMap<String, Issuer>,
    /// The protected resources: one for each MCP server.
    #[schemars(length(min = 1))]
    resources: Vec<Resource>,
    /// How session ids are sealed.
    sessions: Option<Sessions>,
    /// Sizes and counts.
    limits: Option<Limits>,
    /// Deadlines and idle times.
    timeouts: Option<Timeouts>,
    /// How issuers' keys are fetched and kept.
    jwks: Option<Jwks>,
    /// How changes of the configuration are taken.
    reload: Option<Reload>,
    /// How the process ends.
    shutdown: Option<Shutdown>,
    /// Unix socket by which `run --upgrade` takes over without a refused connection, in a folder that only the gateway's
    /// own user can write to. Default: none, no upgrade.
    upgrade_socket: Option<String>,
    /// What is logged.
    log: Option<Log>,
    /// What is told of calls that may change something: one line for each decision.
    audit: Option<Audit>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Listen {
    /// IP address and port, such as 0.0.0.0:8443.
    address: String,
    /// Speak TLS 1.2 and 1.3. Without it the listener speaks plain HTTP.
    tls: Option<Tls>,
    /// Speak plain HTTP beyond loopback, where something in front speaks TLS. Default: false.
    plain_http: Option<Flag>,
    /// Take connections of trusted_proxies alone, each beginning with a PROXY protocol header, version 2. Default: false.
    proxy_protocol: Option<Flag>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tls {
    /// Chosen by SNI from the names in them; the first answers everything else.
    #[schemars(length(min = 1))]
    certificates: Vec<Certificate>,
    /// PEM file with the authorities of client certificates: every client must then show one. Default: none.
    client_ca: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Certificate {
    /// PEM file with the chain, the server's own certificate first.
    certificate: String,
    /// PEM file with its private key, readable by the owner and group only.
    private_key: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Admin {
    /// IP address and port. Default: 127.0.0.1:9090.
    address: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Issuer {
    /// The iss of its tokens, to the letter. Keys are found by RFC 8414, then OpenID Connect Discovery.
    issuer: String,
    /// Accepted typ values; "" for none at all. Default: at+jwt. Most providers send JWT.
    token_types: Option<OneOrMany>,
    /// Accepted alg values. Default: every asymmetric one, RS256 to EdDSA.
    algorithms: Option<OneOrMany>,
    /// The URL of its JWK set, instead of discovery.
    jwks_uri: Option<String>,
    /// A file with its JWK set, instead of discovery.
    jwks_file: Option<String>,
    /// PEM file with the certificates that are trusted when fetching, instead of the system's.
    ca_file: Option<String>,
    /// Fetch over plain HTTP beyond loopback. Default: false.
    allow_http: Option<Flag>,
    /// Claims that hold scopes. Default: scope, scp.
    scope_claim: Option<OneOrMany>,
    /// The claim that names the principal. Default: sub.
    subject_claim: Option<String>,
    /// How far clocks may differ. Default: 30s.
    clock_skew: Option<Time>,
    /// The longest life of a token, from iat to exp. Default: 31d.
    max_lifetime: Option<Time>,
    /// JOSE header parameters that are ignored rather than refused: some of jku, x5u, jwk, x5c. Default: none.
    ignored_headers: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Resource {
    /// The exact path that clients type, such as /mcp.
    path: String,
    /// Serve it under this host alone. Default: every host.
    host: Option<String>,
    /// The MCP server.
    upstream: Upstream,
    /// Names of the issuers whose tokens are accepted.
    #[schemars(length(min = 1))]
    issuers: Vec<String>,
    /// Accepted aud values, instead of the resource URI (public_url and path).
    audience: Option<OneOrMany>,
    /// Accept tokens that another resource accepts too; both must say so. Default: false.
    shared_audience: Option<Flag>,
    /// The name that clients show.
    name: Option<String>,
    /// The URL of a page for people.
    documentation: Option<String>,
    /// Scopes that calls take, and those told to clients.
    scopes: Option<Scopes>,
    /// What a principal may call.
    policy: Policy,
    /// How often it may be called; a call must be within every limit that counts it. Default: no limits.
    rate_limits: Option<Vec<RateLimit>>,
    /// Ids of tasks: refuse; seal (bound to the caller); or upstream (which binds them itself). Default: refuse.
    tasks: Option<Tasks>,
    /// Request states: upstream (which protects them itself), or seal (bound to the caller and the call). Default: upstream.
    request_state: Option<RequestState>,
    /// Headers that tell the upstream who calls.
    identity_headers: Option<IdentityHeaders>,
    /// How long the upstream may take until its response head. Default: timeouts.response_head.
    response_head: Option<Time>,
    /// The MCP revisions that are served, such as [2025-11-25, 2026-07-28]; others are refused. Default: the upstream
    /// decides.
    protocol_versions: Option<OneOrMany>,
}

/// A URL with its path; or url with ca_file; or unix with path.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Upstream {
    Url(String),
    Parts(UpstreamParts),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct UpstreamParts {
    /// The MCP server's URL with its path.
    url: Option<String>,
    /// PEM file with the certificates that are trusted instead of the system's.
    ca_file: Option<String>,
    /// The unix socket on which the MCP server listens.
    unix: Option<String>,
    /// The path asked for over the unix socket. Default: the resource's.
    path: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Scopes {
    /// Scopes that every call takes. Default: none.
    required: Option<OneOrMany>,
    /// Scopes told in the metadata. Default: the required ones and those of the rules.
    supported: Option<OneOrMany>,
    /// Broader scopes, each with the narrower ones that it grants too. Default: none.
    implies: Option<BTreeMap<String, OneOrMany>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Policy {
    /// What no rule matches: allow (the required scopes suffice) or deny.
    default: Decision,
    /// What of tools/list, prompts/list, resources/list and resources/templates/list a caller does not see: nothing, denied
    /// (what no scope would open to it) or unusable (what its token cannot call). Default: nothing.
    hide: Option<Hide>,
    /// The first that matches decides. Default: none.
    rules: Option<Vec<Rule>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Rule {
    /// The MCP method, such as tools/call; one or a list, or "*" for every one.
    method: Methods,
    /// Names of tools and prompts, URIs of resources; * stands for what has no slash, ** for anything. Default: any.
    name: Option<OneOrMany>,
    /// Top-level arguments and what they must be: texts with * and **, whole numbers, true or false. Default: any.
    arguments: Option<BTreeMap<String, ArgumentValues>>,
    /// What these calls take besides the required scopes. Default: nothing.
    scopes: Option<OneOrMany>,
    /// The subjects it lets pass, or denies. Default: all.
    principals: Option<Principals>,
    /// The clients it lets pass, or denies. Default: all.
    clients: Option<Clients>,
    /// When it lets pass, or denies: CEL over claims, client, mcp and request. Default: always.
    condition: Option<String>,
    /// The words it denies with. Default: it allows.
    deny: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct RateLimit {
    /// What has calls of its own: each principal, each client, each tool of name, or the resource.
    per: Per,
    /// How many calls are granted within the time: 1 to 1000000.
    calls: Count,
    /// The time in which they are: 1s to 1d.
    within: Time,
    /// How many at once. Default: calls.
    burst: Option<Count>,
    /// Methods that count. Default: every one that rules can speak of; tools/call with per: tool.
    method: Option<Methods>,
    /// Names that count, exact or with * and **; per: tool takes exact ones and must have them. Default: any.
    name: Option<OneOrMany>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct IdentityHeaders {
    /// Carries the subject; null sends none. Default: x-mcp-subject.
    subject: Option<String>,
    /// Carries the issuer; null sends none. Default: x-mcp-issuer.
    issuer: Option<String>,
    /// Carries the client id; null sends none. Default: x-mcp-client.
    client: Option<String>,
    /// Carries the scopes; null sends none. Default: x-mcp-scope.
    scope: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Sessions {
    /// Files with 32 random bytes each: the first seals, every one opens. Default: a random key at each start.
    key_files: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Limits {
    /// Bytes in a request's header block. Default: 32KiB.
    header_bytes: Option<Size>,
    /// Fields in a request's header block. Default: 100.
    header_fields: Option<Count>,
    /// Bytes in an access token. Default: 8KiB.
    token_bytes: Option<Size>,
    /// Bytes in a request's body. Default: 4MiB.
    body_bytes: Option<Size>,
    /// Bytes in all requests' bodies, and in answers that are read whole, together; more is answered 503. Default: 128MiB, at most an eighth of memory.
    bodies_bytes: Option<Size>,
    /// Bytes of an upstream's answer, or of one of its events, that has to be read whole; more is refused. Default: 16MiB.
    answer_bytes: Option<Size>,
    /// Levels of nesting in a JSON body. Default: 64.
    json_depth: Option<Count>,
    /// Members and elements in a JSON body. Default: 10000.
    json_members: Option<Count>,
    /// Connections open at once. Default: 10000.
    connections: Option<Count>,
    /// Connections open at once from one address (IPv6: from one /64); trusted_proxies have no such limit. Default: 200.
    connections_per_address: Option<Count>,
    /// Refusals in a minute that one address may cause before it is answered 429. Default: 120.
    refusals_per_address: Option<Count>,
    /// Addresses and networks that limits by address leave alone. Default: loopback, private and link-local ones.
    exempt_addresses: Option<Vec<String>>,
    /// Memory the process may take; no connection is accepted above 85 %. Default: the limit of the cgroup, if any.
    memory: Option<Size>,
    /// Streams open at once on one HTTP/2 connection. Default: 100.
    streams_per_connection: Option<Count>,
    /// Streams that only listen, open at once for one principal. Default: 16.
    listening_streams_per_principal: Option<Count>,
    /// Streams that only listen, open at once in all. Default: 10000.
    listening_streams: Option<Count>,
    /// Legacy sessions that one principal may open in a minute, over all resources. Default: 60.
    initializations_per_principal: Option<Count>,
    /// Callers whose calls are counted for rate limits at once; whoever comes beyond is answered 503. Default: 100000.
    rate_limited_callers: Option<Count>,
    /// Verified tokens remembered, for each resource. Default: 10000.
    verified_tokens: Option<Count>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Timeouts {
    /// Deadline of the TLS handshake. Default: 10s.
    handshake: Option<Time>,
    /// Deadline of a request's header block. Default: 10s.
    header: Option<Time>,
    /// How long a connection may wait for its next request. Default: 60s.
    keep_alive: Option<Time>,
    /// How long a request's body may pause. Default: 10s.
    body_idle: Option<Time>,
    /// Deadline of a request's body. Default: 60s.
    body_total: Option<Time>,
    /// Deadline of the upstream's response head; none for GET and subscriptions. Default: 5m.
    response_head: Option<Time>,
    /// How long an answer to a call may go on after the caller's token has expired. Default: 10m.
    max_after_expiry: Option<Time>,
    /// How long a client may leave written bytes unread. Default: 30s.
    write_idle: Option<Time>,
    /// Silence on an event stream before a comment is sent; 0s sends none. Default: 25s.
    sse_comment: Option<Time>,
    /// Deadline of a connection to the upstream, TLS included. Default: 5s.
    upstream_connect: Option<Time>,
    /// How long an unused connection to the upstream is kept. Default: 4s.
    upstream_keep_alive: Option<Time>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Jwks {
    /// Time between refreshes in the background. Default: 5m.
    refresh: Option<Time>,
    /// Least time between fetches that an unknown key id sets off. Default: 30s.
    cool_down: Option<Time>,
    /// How long keys are used while the issuer cannot be reached. Default: 1h.
    stale: Option<Time>,
    /// Deadline of one fetch. Default: 5s.
    fetch: Option<Time>,
    /// How long a request waits for a fetch. Default: 2s.
    wait: Option<Time>,
    /// Bytes in a metadata document or key set. Default: 512KiB.
    bytes: Option<Size>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Reload {
    /// Watch every file the configuration is made of; SIGHUP reads them again in any case. Default: true.
    watch: Option<Flag>,
    /// How long files must have stayed as they are before they are read. Default: 200ms.
    settle: Option<Time>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Shutdown {
    /// How long connections are still accepted after SIGTERM. Default: 0s.
    delay: Option<Time>,
    /// How long requests and streams may then take to end. Default: 30s.
    drain: Option<Time>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Log {
    /// json or text. Default: json.
    format: Option<LogFormat>,
    /// The least severe events that are written. Default: info.
    level: Option<Level>,
    /// Whether each request has a line. Default: true.
    access: Option<Flag>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Audit {
    /// Whether each decision has a line. Default: true.
    enabled: Option<Flag>,
    /// File that lines are appended to as JSON, made where there is none. Default: none, they go among the log's lines.
    file: Option<String>,
}

/// A list, or its only element.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// One method, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Methods {
    One(Method),
    Many(Vec<Method>),
}

/// What an argument must be: one value, or several of which one.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ArgumentValues {
    One(ArgumentValue),
    Many(Vec<ArgumentValue>),
}

/// A text with * and ** in it, a whole number, or true or false.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum ArgumentValue {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// One subject, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Principals {
    One(Principal),
    Many(Vec<Principal>),
}

/// A subject of the resource's one issuer, or of an issuer by its name.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Principal {
    Subject(String),
    OfIssuer(PrincipalOfIssuer),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PrincipalOfIssuer {
    /// The name of an issuer of the resource.
    issuer: String,
    /// The subject, as the issuer's tokens have it.
    subject: String,
}

/// One client, or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Clients {
    One(Client),
    Many(Vec<Client>),
}

/// A client id of the resource's one issuer, or of an issuer by its name.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Client {
    Id(String),
    OfIssuer(ClientOfIssuer),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ClientOfIssuer {
    /// The name of an issuer of the resource.
    issuer: String,
    /// The client id, as the issuer's tokens have it.
    client: String,
}
