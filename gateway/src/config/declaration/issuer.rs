//! Authorization servers: an entry of `issuers`.

use super::parts::{
    amounts::{SECOND, ZERO, days, minutes, seconds},
    key::{Kind, Table, defaulted, one_or_many, optional, required, text},
    setting::{Setting, flag, time},
    value::{Flag, Time},
};

/// Accepted `typ` values unless configured.
pub(crate) const TOKEN_TYPES: [&str; 1] = ["at+jwt"];

/// Claims that hold scopes unless configured.
pub(crate) const SCOPE_CLAIM: [&str; 2] = ["scope", "scp"];

/// The claim that names the principal unless configured.
pub(crate) const SUBJECT_CLAIM: &str = "sub";

/// Whether metadata and keys may be fetched over plain HTTP beyond loopback.
pub(crate) const ALLOW_HTTP: Setting<Flag> = flag(
    "allow_http",
    false,
    "Fetch over plain HTTP beyond loopback.",
);

/// How far clocks may differ.
pub(crate) const CLOCK_SKEW: Setting<Time> = time(
    "clock_skew",
    seconds(30),
    ZERO..=minutes(5),
    "How far clocks may differ.",
);

/// The longest life of a token.
pub(crate) const MAX_LIFETIME: Setting<Time> = time(
    "max_lifetime",
    days(31),
    SECOND..=days(366),
    "The longest life of a token, from iat to exp.",
);

/// An entry of `issuers`.
pub(super) fn issuer() -> Table {
    Table {
        name: "Issuer",
        keys: vec![
            required(
                "issuer",
                Kind::Text,
                "The iss of its tokens, to the letter. Keys are found by RFC 8414, then OpenID Connect Discovery.",
            ),
            text(
                "token_types",
                one_or_many(Kind::Text),
                &TOKEN_TYPES,
                "Accepted typ values; \"\" for none at all. Most providers send JWT.",
            ),
            defaulted(
                "algorithms",
                one_or_many(Kind::Text),
                "every asymmetric one, RS256 to EdDSA",
                "Accepted alg values.",
            ),
            optional(
                "jwks_uri",
                Kind::Text,
                "The URL of its JWK set, instead of discovery.",
            ),
            optional(
                "jwks_file",
                Kind::Text,
                "A file with its JWK set, instead of discovery.",
            ),
            optional(
                "ca_file",
                Kind::Text,
                "PEM file with the certificates that are trusted when fetching, instead of the system's.",
            ),
            ALLOW_HTTP.key(),
            text(
                "scope_claim",
                one_or_many(Kind::Text),
                &SCOPE_CLAIM,
                "Claims that hold scopes.",
            ),
            text(
                "subject_claim",
                Kind::Text,
                &[SUBJECT_CLAIM],
                "The claim that names the principal.",
            ),
            CLOCK_SKEW.key(),
            MAX_LIFETIME.key(),
            defaulted(
                "ignored_headers",
                one_or_many(Kind::Text),
                "none",
                "JOSE header parameters that are ignored rather than refused: some of jku, x5u, jwk, x5c.",
            ),
        ],
    }
}
