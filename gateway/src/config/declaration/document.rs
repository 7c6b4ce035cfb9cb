//! The whole document: `config/gateway.yaml` and the JSON Schema have its keys in this order.

use mcp_gateway_core::http::client_address::ForwardedHeader;

use super::{
    authorization_server,
    credentials::{api_keys, assertions},
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
    policy::decision_point::DecisionPointSettings,
    process::{Audit, Log, Reload, Shutdown},
    rate_limit::SharedRateLimits,
    resource,
    timeouts::{Jwks, Timeouts},
};

/// The header in which trusted proxies name the client.
pub(crate) const FORWARDED_HEADER: Setting<Word<ForwardedHeader>> = word(
    "forwarded_header",
    ForwardedHeader::XForwardedFor,
    "The header in which trusted_proxies name the client: x-forwarded-for or forwarded (RFC 7239).",
);

impl Vocabulary for ForwardedHeader {
    const NAME: &'static str = "ForwardedHeader";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("x-forwarded-for", Self::XForwardedFor),
        ("forwarded", Self::Forwarded),
    ];
}

/// The header in which trusted proxies name the client's certificate.
pub(crate) const CLIENT_CERTIFICATE_HEADER: Setting<Word<ClientCertificateHeader>> = word(
    "client_certificate_header",
    ClientCertificateHeader::None,
    "The header in which trusted_proxies name the certificate of the client: none, or client-cert (RFC 9440). They must remove this header from what their clients send.",
);

/// The header in which trusted proxies name the client's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificateHeader {
    /// They name none.
    #[default]
    None,
    /// `Client-Cert` (RFC 9440).
    ClientCert,
}

impl Vocabulary for ClientCertificateHeader {
    const NAME: &'static str = "ClientCertificateHeader";
    const WORDS: &'static [(&'static str, Self)] =
        &[("none", Self::None), ("client-cert", Self::ClientCert)];
}

/// The document's keys.
pub(crate) fn document() -> Table {
    Table {
        name: "mcp-gateway",
        keys: vec![
            required(
                "public_url",
                Kind::Text,
                "URL that clients use: scheme and host, without a path. Resource URIs are built from it, never from a request.",
            ),
            required(
                "listen",
                list(Kind::Table(listen::listener())),
                "Listeners for client connections.",
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
                "Accepted Host values in addition to those of public_url and the resources, such as mcp.internal:8443. Other hosts get 403.",
            ),
            defaulted(
                "trusted_proxies",
                list(Kind::Text),
                "none",
                "Addresses and networks of proxies that are trusted to name the client, by PROXY protocol or forwarded header.",
            ),
            FORWARDED_HEADER.key(),
            CLIENT_CERTIFICATE_HEADER.key(),
            defaulted(
                "origins",
                list(Kind::Text),
                "none",
                "Allowed browser origins in addition to that of public_url, such as `https://app.example.com`, `chrome-extension://ID` or `tauri://localhost`. `moz-extension://*` allows every host of a scheme other than http and https, for ids that differ on each device. Other origins get 403.",
            ),
            optional(
                "authorization_server",
                Kind::Table(authorization_server::authorization_server()),
                "The built-in authorization server: people sign in here, and clients need only the URL of a resource. Without the section there is none.",
            ),
            optional(
                "issuers",
                map(Kind::Table(issuer::issuer())),
                "Authorization servers whose tokens are accepted, each with a name for use in resources. Required without authorization_server and api_keys. The names built-in and api-keys are reserved for these.",
            ),
            optional(
                "api_keys",
                Kind::Table(api_keys::api_keys()),
                "API keys for callers without OAuth. Resources accept them only where they say so. Without the section there are none.",
            ),
            optional(
                "outbound",
                Kind::Table(issuer::outbound()),
                "How the gateway reaches issuers.",
            ),
            optional(
                "decision_points",
                map(Kind::Table(DecisionPointSettings::table())),
                "Decision points (OpenID AuthZEN), which are asked about calls that the policy permits, each with a name for use in resources.",
            ),
            required(
                "resources",
                list(Kind::Table(resource::resource())),
                "Protected resources: one for each MCP server.",
            ),
            optional(
                "rate_limits",
                Kind::Table(SharedRateLimits::table()),
                "How several gateways count the rate limits of all resources together. Without the section each gateway counts for itself.",
            ),
            optional(
                "sessions",
                Kind::Table(listen::sessions()),
                "Keys that seal session ids.",
            ),
            optional(
                "assertions",
                Kind::Table(assertions::assertions()),
                "Keys that sign assertions about callers (assertion of an upstream).",
            ),
            optional(
                "limits",
                Kind::Table(Limits::table()),
                "Limits of sizes and counts.",
            ),
            optional(
                "timeouts",
                Kind::Table(Timeouts::table()),
                "Deadlines (total time) and idle timeouts (time between bytes).",
            ),
            optional(
                "jwks",
                Kind::Table(Jwks::table()),
                "How the keys of issuers are fetched and cached.",
            ),
            optional(
                "reload",
                Kind::Table(Reload::table()),
                "How changes of the configuration are applied.",
            ),
            optional(
                "shutdown",
                Kind::Table(Shutdown::table()),
                "How the process shuts down.",
            ),
            defaulted(
                "upgrade_socket",
                Kind::Text,
                "none, upgrades are disabled",
                "Unix socket for `run --upgrade`, which takes over the listening sockets of this process. Its directory must be writable only by the user of the gateway.",
            ),
            optional(
                "log",
                Kind::Table(Log::table()),
                "The operational log and the access log.",
            ),
            optional(
                "audit",
                Kind::Table(Audit::table()),
                "The audit log: one line for each call that can change something, allowed or refused.",
            ),
        ],
    }
}
