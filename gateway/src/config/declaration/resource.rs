//! Protected resources: an element of `resources`, without its policy and rate limits.

use mcp_gateway_core::mcp::tasks::Tasks;

use super::{
    identity_headers,
    parts::{
        key::{Kind, Table, defaulted, list, map, one_or_many, optional, required},
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
    "Accept tokens that another resource accepts too; both must say so.",
);

/// What happens to the ids of tasks.
pub(crate) const TASKS: Setting<Word<Tasks>> = word(
    "tasks",
    Tasks::Refuse,
    "Ids of tasks: refuse; seal (bound to the caller); or upstream (which binds them itself).",
);

impl Vocabulary for Tasks {
    const NAME: &'static str = "Tasks";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("refuse", Self::Refuse),
        ("seal", Self::Seal),
        ("upstream", Self::Upstream),
    ];
}

/// What happens to request states.
pub(crate) const REQUEST_STATE: Setting<Word<RequestState>> = word(
    "request_state",
    RequestState::Upstream,
    "Request states: upstream (which protects them itself), or seal (bound to the caller and the call).",
);

/// What happens to request states (MCP 2026-07-28, multi round-trip requests).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// They pass: the upstream protects them itself.
    Upstream,
    /// Clients get them sealed, bound to the caller and the call.
    Seal,
}

impl Vocabulary for RequestState {
    const NAME: &'static str = "RequestState";
    const WORDS: &'static [(&'static str, Self)] =
        &[("upstream", Self::Upstream), ("seal", Self::Seal)];
}

/// How long this upstream may take until its response head.
pub(crate) const OWN_RESPONSE_HEAD: Optional<Time> = optional_time(
    "response_head",
    "timeouts.response_head",
    RESPONSE_HEAD,
    "How long the upstream may take until its response head.",
);

/// An element of `resources`.
pub(super) fn resource() -> Table {
    Table {
        name: "Resource",
        keys: vec![
            required(
                "path",
                Kind::Text,
                "The exact path that clients type, such as /mcp.",
            ),
            defaulted(
                "host",
                Kind::Text,
                "every host",
                "Serve it under this host alone.",
            ),
            required("upstream", Kind::TextOr(upstream()), "The MCP server."),
            required(
                "issuers",
                list(Kind::Text),
                "Names of the issuers whose tokens are accepted.",
            ),
            optional(
                "audience",
                one_or_many(Kind::Text),
                "Accepted aud values, instead of the resource URI (public_url and path).",
            ),
            SHARED_AUDIENCE.key(),
            optional("name", Kind::Text, "The name that clients show."),
            optional("documentation", Kind::Text, "The URL of a page for people."),
            optional(
                "scopes",
                Kind::Table(scopes()),
                "Scopes that calls take, and those told to clients.",
            ),
            required(
                "policy",
                Kind::Table(policy::policy()),
                "What a principal may call.",
            ),
            defaulted(
                "rate_limits",
                list(Kind::Table(rate_limit::rate_limit())),
                "no limits",
                "How often it may be called; a call must be within every limit that counts it.",
            ),
            TASKS.key(),
            REQUEST_STATE.key(),
            optional(
                "identity_headers",
                Kind::Table(identity_headers::identity_headers()),
                "Headers that tell the upstream who calls.",
            ),
            OWN_RESPONSE_HEAD.key(),
            defaulted(
                "protocol_versions",
                one_or_many(Kind::Text),
                "the upstream decides",
                "The MCP revisions that are served, such as [2025-11-25, 2026-07-28]; others are refused.",
            ),
        ],
    }
}

fn upstream() -> Table {
    Table {
        name: "UpstreamParts",
        keys: vec![
            optional("url", Kind::Text, "The MCP server's URL with its path."),
            optional(
                "ca_file",
                Kind::Text,
                "PEM file with the certificates that are trusted instead of the system's.",
            ),
            optional(
                "unix",
                Kind::Text,
                "The unix socket on which the MCP server listens.",
            ),
            defaulted(
                "path",
                Kind::Text,
                "the resource's",
                "The path asked for over the unix socket.",
            ),
        ],
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
                "Scopes that every call takes.",
            ),
            defaulted(
                "supported",
                one_or_many(Kind::Text),
                "the required ones and those of the rules",
                "Scopes told in the metadata.",
            ),
            defaulted(
                "implies",
                map(one_or_many(Kind::Text)),
                "none",
                "Broader scopes, each with the narrower ones that it grants too.",
            ),
        ],
    }
}
