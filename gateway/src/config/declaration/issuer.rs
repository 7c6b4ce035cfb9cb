//! Authorization servers: an entry of `issuers`, and the forward proxy through which they are reached (`outbound`).

pub(crate) mod introspection;

use self::introspection::IntrospectionSettings;
use super::parts::{
    amounts::{SECOND, ZERO, days, minutes, seconds},
    key::{Key, Kind, Table, defaulted, list, one_or_many, optional, required, text},
    section::Settings,
    setting::{Setting, flag, time},
    value::{Flag, Time},
};

/// Default `typ` values that are accepted.
pub(crate) const TOKEN_TYPES: [&str; 1] = ["at+jwt"];

/// Default claims that contain scopes.
pub(crate) const SCOPE_CLAIM: [&str; 2] = ["scope", "scp"];

/// Default claim with the subject of the principal.
pub(crate) const SUBJECT_CLAIM: &str = "sub";

/// Default claims with the client.
pub(crate) const CLIENT_CLAIM: [&str; 2] = ["client_id", "azp"];

/// Whether metadata and keys can be fetched over plain HTTP from other hosts than loopback.
pub(crate) const ALLOW_HTTP: Setting<Flag> = flag(
    "allow_http",
    false,
    "Allow plain HTTP for the metadata and keys of this issuer. Loopback does not need it.",
);

/// Allowed difference between the clocks of the issuer and the gateway.
pub(crate) const CLOCK_SKEW: Setting<Time> = time(
    "clock_skew",
    seconds(30),
    ZERO..=minutes(5),
    "Allowed difference between the clocks of the issuer and the gateway.",
);

/// Longest lifetime of a token.
pub(crate) const MAX_LIFETIME: Setting<Time> = time(
    "max_lifetime",
    days(31),
    SECOND..=days(366),
    "Longest lifetime of a token, from iat to exp. A token with a longer one gets 401.",
);

/// An entry of `issuers`.
pub(super) fn issuer() -> Table {
    let own = vec![
        required(
            "issuer",
            one_or_many(Kind::Text),
            "Exact iss value of its tokens, or several. Its keys are found by RFC 8414, then by OpenID Connect Discovery, for the first. With tenants, {tenantid} stands for the tenant.",
        ),
        optional(
            "tenants",
            one_or_many(Kind::Text),
            "Ids of the tenants whose tokens are accepted, for an issuer with {tenantid}. The tid claim must name the tenant of iss.",
        ),
        defaulted(
            "authorization_server",
            Kind::Text,
            "the first issuer, for each tenant",
            "The authorization server in the metadata (authorization_servers), where clients read it.",
        ),
        text(
            "token_types",
            one_or_many(Kind::Text),
            &TOKEN_TYPES,
            "Accepted typ values of tokens; \"\" accepts tokens without typ. Most providers send JWT.",
        ),
    ];
    let claims = vec![
        text(
            "scope_claim",
            one_or_many(Kind::TextOr(claim())),
            &SCOPE_CLAIM,
            "Claims that contain scopes: text with spaces between them, or a list. A caller has the scopes of all of them. Write a.b for the claim b in the claim a.",
        ),
        text(
            "subject_claim",
            Kind::TextOr(claim()),
            &[SUBJECT_CLAIM],
            "Claim with the subject of the principal. Written as scope_claim.",
        ),
        text(
            "client_claim",
            one_or_many(Kind::TextOr(claim())),
            &CLIENT_CLAIM,
            "Claims with the client id. The first that a token has is read. Written as scope_claim.",
        ),
        CLOCK_SKEW.key(),
        MAX_LIFETIME.key(),
        defaulted(
            "ignored_headers",
            one_or_many(Kind::Text),
            "none",
            "JOSE header parameters that are ignored instead of refused: jku, x5u, jwk, x5c. The gateway never uses the keys in them.",
        ),
    ];
    Table {
        name: "Issuer",
        keys: [own, keys(), claims, vec![introspection()]].concat(),
    }
}

/// How the issuer is asked.
fn introspection() -> Key {
    optional(
        "introspection",
        Kind::Table(IntrospectionSettings::table()),
        "Ask the issuer about each of its tokens (RFC 7662) instead of verifying signatures: for opaque tokens. Its keys are not fetched. A resource has at most one such issuer. An empty section asks the introspection_endpoint of its metadata.",
    )
}

/// Where the keys of an issuer come from, and what it signs with.
pub(super) fn keys() -> Vec<Key> {
    vec![
        defaulted(
            "algorithms",
            one_or_many(Kind::Text),
            "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
            "Accepted alg values of tokens. Only asymmetric algorithms are supported.",
        ),
        optional(
            "jwks_uri",
            Kind::Text,
            "URL of its key set (JWKS), instead of discovery.",
        ),
        optional(
            "jwks_file",
            Kind::Text,
            "File with its key set (JWKS), instead of discovery.",
        ),
        optional(
            "ca_file",
            Kind::Text,
            "PEM file with trusted CA certificates for fetching metadata and keys, instead of the system's.",
        ),
        ALLOW_HTTP.key(),
        defaulted(
            "bearer_file",
            Kind::Text,
            "none",
            "File with a bearer token that is sent when fetching metadata and keys, such as a Kubernetes service account token. It is read again for each fetch, and sent only to the host of jwks_uri, else of issuer, over https or to loopback.",
        ),
        defaulted(
            "proxy",
            Kind::TextOr(proxy()),
            "outbound.proxy",
            "The forward proxy for fetching metadata and keys of this issuer, in the forms of outbound.proxy; none fetches them directly.",
        ),
    ]
}

/// A claim by the exact names on the way to it.
pub(super) fn claim() -> Table {
    Table {
        name: "Claim",
        keys: vec![required(
            "path",
            list(Kind::Text),
            "Names on the way to the claim, each exactly as in the token: for names with dots.",
        )],
    }
}

/// `outbound`.
pub(super) fn outbound() -> Table {
    Table {
        name: "Outbound",
        keys: vec![defaulted(
            "proxy",
            Kind::TextOr(proxy()),
            "none",
            "The forward proxy for fetching metadata and keys of issuers: none, its URL, or a mapping with url. Variables such as HTTPS_PROXY are ignored.",
        )],
    }
}

/// The mapping form of `proxy`.
pub(super) fn proxy() -> Table {
    Table {
        name: "Proxy",
        keys: vec![
            required(
                "url",
                Kind::Text,
                "URL of the proxy: http or https, host and port, without user name and password.",
            ),
            defaulted(
                "credentials_file",
                Kind::Text,
                "none",
                "File with user:password for the proxy (Basic), readable only by owner and group. It is read again for each fetch.",
            ),
            defaulted(
                "no_proxy",
                one_or_many(Kind::Text),
                "none",
                "Destinations that are reached directly: keys.example.com (and hosts below it), .example.com (only hosts below it), addresses and networks, separated by commas in a text. Names are not resolved for it. Loopback is always reached directly.",
            ),
            optional(
                "ca_file",
                Kind::Text,
                "PEM file with trusted CA certificates for an https proxy, instead of the system's. Issuers are not verified with it.",
            ),
        ],
    }
}
