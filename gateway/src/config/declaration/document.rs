//! The whole document: `config/gateway.yaml` and the JSON Schema have its keys in this order.

use mcp_gateway_core::http::client_address::ForwardedHeader;

use super::{
    issuer,
    limits::Limits,
    listen,
    parts::{
        key::{Kind, Table, defaulted, list, map, optional, required},
        section::Settings,
        setting::{Setting, word},
        value::Word,
        vocabulary::Vocabulary,
    },
    process::{Audit, Log, Reload, Shutdown},
    resource,
    timeouts::{Jwks, Timeouts},
};

/// The header in which proxies name the client.
pub(crate) const FORWARDED_HEADER: Setting<Word<ForwardedHeader>> = word(
    "forwarded_header",
    ForwardedHeader::XForwardedFor,
    "The one header in which they name the client: x-forwarded-for or forwarded (RFC 7239).",
);

impl Vocabulary for ForwardedHeader {
    const NAME: &'static str = "ForwardedHeader";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("x-forwarded-for", Self::XForwardedFor),
        ("forwarded", Self::Forwarded),
    ];
}

/// The document's keys.
pub(crate) fn document() -> Table {
    Table {
        name: "mcp-gateway",
        keys: vec![
            required(
                "public_url",
                Kind::Text,
                "What clients type: scheme and host, without a path. Resource URIs are built from it, never from a request.",
            ),
            required(
                "listen",
                list(Kind::Table(listen::listener())),
                "Where clients connect.",
            ),
            optional(
                "admin",
                Kind::Table(listen::admin()),
                "The listener for /metrics, /livez and /readyz.",
            ),
            defaulted(
                "hosts",
                list(Kind::Text),
                "none",
                "Host values served besides the public URL's and the resources' own, such as mcp.internal:8443.",
            ),
            defaulted(
                "trusted_proxies",
                list(Kind::Text),
                "none",
                "Addresses and networks of proxies whose PROXY protocol or forwarded header is believed.",
            ),
            FORWARDED_HEADER.key(),
            defaulted(
                "origins",
                list(Kind::Text),
                "none",
                "Browser origins allowed besides the public URL's own, such as `https://app.example.com`.",
            ),
            required(
                "issuers",
                map(Kind::Table(issuer::issuer())),
                "Authorization servers whose tokens are accepted, by a name that resources use.",
            ),
            required(
                "resources",
                list(Kind::Table(resource::resource())),
                "The protected resources: one for each MCP server.",
            ),
            optional(
                "sessions",
                Kind::Table(listen::sessions()),
                "How session ids are sealed.",
            ),
            optional("limits", Kind::Table(Limits::table()), "Sizes and counts."),
            optional(
                "timeouts",
                Kind::Table(Timeouts::table()),
                "Deadlines and idle times.",
            ),
            optional(
                "jwks",
                Kind::Table(Jwks::table()),
                "How issuers' keys are fetched and kept.",
            ),
            optional(
                "reload",
                Kind::Table(Reload::table()),
                "How changes of the configuration are taken.",
            ),
            optional(
                "shutdown",
                Kind::Table(Shutdown::table()),
                "How the process ends.",
            ),
            defaulted(
                "upgrade_socket",
                Kind::Text,
                "none, no upgrade",
                "Unix socket by which `run --upgrade` takes over without a refused connection, in a folder that only the gateway's own user can write to.",
            ),
            optional("log", Kind::Table(Log::table()), "What is logged."),
            optional(
                "audit",
                Kind::Table(Audit::table()),
                "What is told of calls that may change something: one line for each decision.",
            ),
        ],
    }
}
