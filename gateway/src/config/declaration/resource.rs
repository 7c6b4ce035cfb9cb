//! Protected resources: an element of `resources`, without its policy and rate limits.

pub(crate) mod balancing;
pub(crate) mod credentials;
mod sender_constraint;
mod transport;

use mcp_gateway_core::{http::query::ClientQuery, mcp::tasks::Tasks};

pub use balancing::{CheckKind, EjectionSettings, HealthCheckSettings, QueueSettings};
pub use sender_constraint::{Demand, SenderConstraint};
pub(crate) use transport::TRANSPORT;
pub use transport::Transport;

use super::{
    credentials::{api_keys, assertions},
    identity_headers,
    parts::{
        key::{Kind, Table, defaulted, list, map, one_or_many, optional, required},
        section::Settings,
        setting::{Optional, Setting, flag, optional_time, word},
        value::{Flag, Time, Word},
        vocabulary::Vocabulary,
    },
    policy, rate_limit,
    timeouts::RESPONSE_HEAD,
};

/// Whether another resource may accept the same tokens.
pub(crate) const SHARED_AUDIENCE: Setting<Flag> = flag(
    "shared_audience",
    false,
    "Allow another resource to accept the same tokens. Both resources must set it.",
);

/// How task ids are handled.
pub(crate) const TASKS: Setting<Word<Tasks>> = word(
    "tasks",
    Tasks::Refuse,
    "How calls about tasks are handled: refuse (403), seal (the gateway binds task ids to the caller) or upstream (the MCP server binds them).",
);

impl Vocabulary for Tasks {
    const NAME: &'static str = "Tasks";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Refuse),
        ("seal", Self::Seal),
        ("upstream", Self::Upstream),
    ];
}

/// What happens to the client's query.
pub(crate) const QUERY: Setting<Word<ClientQuery>> = word(
    "query",
    ClientQuery::Drop,
    "What happens to the query of clients: drop, or pass (the upstream receives it after the query of its own URL).",
);

impl Vocabulary for ClientQuery {
    const NAME: &'static str = "ClientQuery";
    const WORDS: &'static [(&'static str, Self)] = &[("drop", Self::Drop), ("pass", Self::Pass)];
}

/// How request states are handled.
pub(crate) const REQUEST_STATE: Setting<Word<RequestState>> = word(
    "request_state",
    RequestState::Upstream,
    "How request states are protected: upstream (by the MCP server) or seal (the gateway binds them to the caller and the call).",
);

/// How request states are handled (MCP 2026-07-28, multi round-trip requests).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// The gateway forwards them. The upstream protects them.
    Upstream,
    /// The gateway seals them, bound to the caller and the call.
    Seal,
}

impl Vocabulary for RequestState {
    const NAME: &'static str = "RequestState";
    const WORDS: &'static [(&'static str, Self)] =
        &[("upstream", Self::Upstream), ("seal", Self::Seal)];
}

/// How event ids are handled.
pub(crate) const EVENT_IDS: Setting<Word<EventIds>> = word(
    "event_ids",
    EventIds::Upstream,
    "What happens to Last-Event-ID: upstream (forwarded within the caller's session; the MCP server must replay only events of that session), or drop (streams are not resumed).",
);

/// How event ids are handled (MCP 2025-11-25, transports, *Resumability and Redelivery*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIds {
    /// `Last-Event-ID` is not forwarded.
    Drop,
    /// It is forwarded within a session. The upstream binds event ids to sessions.
    Upstream,
}

impl Vocabulary for EventIds {
    const NAME: &'static str = "EventIds";
    const WORDS: &'static [(&'static str, Self)] =
        &[("drop", Self::Drop), ("upstream", Self::Upstream)];
}

/// The deadline of the response head of this upstream.
pub(crate) const OWN_RESPONSE_HEAD: Optional<Time> = optional_time(
    "response_head",
    "timeouts.response_head",
    RESPONSE_HEAD,
    "Deadline of the response head of this upstream; then the request gets 504.",
);

/// An element of `resources`.
pub(super) fn resource() -> Table {
    Table {
        name: "Resource",
        keys: vec![
            required(
                "path",
                Kind::Text,
                "The path that clients use, such as /mcp. A final slash more or less is the same resource, unless another resource has exactly that path.",
            ),
            defaulted(
                "host",
                Kind::Text,
                "every host",
                "Serve the resource only for this host.",
            ),
            required(
                "upstream",
                Kind::TextOr(upstream()),
                "The MCP server: its URL, or a mapping with url, unix or endpoints.",
            ),
            optional(
                "issuers",
                list(Kind::Text),
                "Names of the issuers whose tokens are accepted. built-in names the authorization_server. Required without that section and without api_keys; with the section, the default is [built-in].",
            ),
            optional(
                "api_keys",
                Kind::Table(api_keys::accepted()),
                "Accept API keys, beside the tokens of issuers or instead of them: a mapping, {} for the defaults. Without it they get 401.",
            ),
            optional(
                "audience",
                one_or_many(Kind::Text),
                "Accepted aud values of tokens, instead of the resource URI (public_url and path). The resource URI is accepted with and without a final slash.",
            ),
            SHARED_AUDIENCE.key(),
            optional(
                "name",
                Kind::Text,
                "Name that clients show (resource_name in the metadata).",
            ),
            optional(
                "documentation",
                Kind::Text,
                "URL of a page for people (resource_documentation in the metadata).",
            ),
            optional(
                "scopes",
                Kind::Table(scopes()),
                "Scopes that calls require, and scopes in the metadata.",
            ),
            required(
                "policy",
                Kind::Table(policy::policy()),
                "Which calls are allowed.",
            ),
            optional(
                "decision_point",
                Kind::Text,
                "Name of the decision point that is asked about calls that the policy permits. It never permits what the policy refuses.",
            ),
            defaulted(
                "rate_limits",
                list(Kind::Table(rate_limit::rate_limit())),
                "no limits",
                "Rate limits. A call must be within every limit that counts it.",
            ),
            TASKS.key(),
            REQUEST_STATE.key(),
            EVENT_IDS.key(),
            QUERY.key(),
            optional(
                "identity_headers",
                Kind::Table(identity_headers::identity_headers()),
                "Names of the headers that pass the identity of the caller to the upstream.",
            ),
            optional(
                "sender_constraint",
                Kind::Table(SenderConstraint::table()),
                "Whether tokens are bound to their sender, so that a stolen token is of no use to others.",
            ),
            OWN_RESPONSE_HEAD.key(),
            defaulted(
                "protocol_versions",
                one_or_many(Kind::Text),
                "the upstream decides",
                "MCP versions that are accepted, such as [2025-11-25, 2026-07-28]. Requests with another version get 400.",
            ),
        ],
    }
}

fn upstream() -> Table {
    let keys = vec![
        optional(
            "url",
            Kind::Text,
            "URL of the MCP server, with its path. It may have a query, which every request to the server has.",
        ),
        optional(
            "ca_file",
            Kind::Text,
            "PEM file with trusted CA certificates for this upstream, instead of the system's. For https only.",
        ),
        optional(
            "certificate_file",
            Kind::Text,
            "PEM file with the certificate with which the gateway authenticates at this upstream, the own certificate first. It is read again when it changes. For https only.",
        ),
        optional(
            "key_file",
            Kind::Text,
            "PEM file with the private key of certificate_file, readable only by owner and group.",
        ),
        defaulted(
            "server_name",
            Kind::Text,
            "the host of url",
            "Name or IP address that the certificate of the upstream must have, and that TLS asks for. For https only.",
        ),
        defaulted(
            "pins",
            one_or_many(Kind::Text),
            "any key",
            "Keys of which the upstream's own certificate must have one, beside everything else that is verified: sha256/ and the base64 of the SHA-256 of the public key. For https only.",
        ),
        optional(
            "unix",
            Kind::Text,
            "Path of the unix socket of the MCP server.",
        ),
        defaulted(
            "path",
            Kind::Text,
            "the resource's path",
            "Request path for requests over the unix socket.",
        ),
        TRANSPORT.key(),
        defaulted(
            "http2",
            Kind::Flag,
            "true for https, else false",
            "Share HTTP/2 connections between requests: over https where the server chooses HTTP/2 (ALPN); over http or the unix socket always, so the server must accept HTTP/2 without TLS.",
        ),
        defaulted(
            "host",
            Kind::Text,
            "host and port of url; localhost for unix",
            "Host header that the upstream receives (:authority in HTTP/2). TLS names and verifies the host of url in any case.",
        ),
        defaulted(
            "pass_headers",
            one_or_many(Kind::Text),
            "none",
            "Names of headers of the client that the upstream receives, such as X-Tenant-Id, with one value each. The upstream must not trust them.",
        ),
        defaulted(
            "headers",
            map(Kind::TextOr(upstream_header())),
            "none",
            "Headers that every request to the upstream has, such as Authorization or X-Api-Key: a value, or a mapping with file. They replace headers of the client.",
        ),
        optional(
            "assertion",
            Kind::Table(assertions::of_upstream()),
            "Sign who calls: each request to the upstream has a short-lived JWT of the gateway about its caller. Write {} for the defaults.",
        ),
        optional(
            "credentials",
            Kind::Table(credentials::credentials()),
            "The gateway's own credentials for the upstream, in Authorization: one of basic, client_credentials and token_exchange. Without them it gets none.",
        ),
    ];
    Table {
        name: "UpstreamParts",
        keys: keys.into_iter().chain(balancing::keys()).collect(),
    }
}

fn upstream_header() -> Table {
    Table {
        name: "UpstreamHeader",
        keys: vec![required(
            "file",
            Kind::Text,
            "File with the value in one line, readable only by owner and group. It is read again when it changes.",
        )],
    }
}

fn scopes() -> Table {
    Table {
        name: "Scopes",
        keys: vec![
            defaulted(
                "required",
                one_or_many(Kind::Text),
                "none",
                "Scopes that every call requires.",
            ),
            defaulted(
                "supported",
                one_or_many(Kind::Text),
                "the required scopes and the scopes of the rules",
                "Scopes in the protected resource metadata, where clients read them.",
            ),
            defaulted(
                "prefix",
                one_or_many(Kind::Text),
                "none",
                "What the authorization server has before these scopes, such as api://ID/ at Entra. Challenges and metadata name scopes with the first prefix; tokens may have any of them or none. Write all other keys without it.",
            ),
            defaulted(
                "implies",
                map(one_or_many(Kind::Text)),
                "none",
                "Broader scopes, each with the narrower scopes that it also grants.",
            ),
            defaulted(
                "descriptions",
                map(Kind::Text),
                "the name of the scope",
                "What each scope allows, in a sentence that people read when they allow it to a client.",
            ),
        ],
    }
}
