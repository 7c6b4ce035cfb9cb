//! The gateway's own credentials for an upstream: `credentials` of `resources[].upstream`.

use std::time::Duration;

use mcp_gateway_core::token::acquired::request::TokenType;

use crate::config::declaration::{
    issuer::{self, introspection::ClientMethod},
    parts::{
        amounts::{HOUR, MOMENT, ZERO, minutes, seconds},
        key::{Key, Kind, Table, defaulted, one_or_many, optional, required},
        section::{Settings, section},
        setting::{Setting, count, time, word},
        value::Word,
        vocabulary::{Vocabulary, words},
    },
};

impl Vocabulary for TokenType {
    const NAME: &'static str = "TokenType";
    const WORDS: &'static [(&'static str, Self)] =
        &[("access_token", Self::AccessToken), ("jwt", Self::Jwt)];
}

/// The type of the callers' tokens.
pub(crate) const SUBJECT_TYPE: Setting<Word<TokenType>> = word(
    "subject_token_type",
    TokenType::AccessToken,
    "As what the caller's access token is presented: access_token or jwt (RFC 8693, section 3).",
);

/// The type of the tokens for the upstream.
pub(crate) const REQUESTED: Setting<Word<TokenType>> = word(
    "requested_token_type",
    TokenType::AccessToken,
    "What is asked for: access_token or jwt. It is sent to the upstream as a Bearer token.",
);

section! {
    /// How a token endpoint is asked.
    #[derive(Copy)]
    pub struct TokenSettings {
        /// Deadline of one answer of the token endpoint; then the call gets 502.
        timeout: Duration = time(seconds(5), MOMENT..=seconds(30)),
        /// How long a token is used of which the endpoint does not say how long it lives (expires_in).
        lifetime: Duration = time(minutes(5), seconds(1)..=HOUR),
    }
}

section! {
    /// How many tokens of callers are exchanged and remembered.
    #[derive(Copy)]
    pub struct ExchangeSettings {
        /// How long a token that the endpoint does not exchange is remembered; until then its calls get 502 without another question.
        negative_cache: Duration = time(seconds(10), ZERO..=minutes(1)),
        /// Most exchanged tokens that are remembered.
        cached_tokens: usize = count(10_000, 1..=1_000_000),
        /// Most of them for one subject. With more, its oldest one is forgotten.
        cached_tokens_per_principal: usize = count(50, 1..=10_000),
        /// Most exchanges at once for this resource. More wait, as long as timeout; then they get 503.
        calls: usize = count(100, 1..=10_000),
        /// Most exchanges at once for one subject at this resource. More get 429.
        calls_per_principal: usize = count(10, 1..=10_000),
    }
}

/// `credentials` of an upstream.
pub(super) fn credentials() -> Table {
    Table {
        name: "UpstreamCredentials",
        keys: vec![
            optional(
                "basic",
                Kind::Table(basic()),
                "A user name and a password (RFC 7617).",
            ),
            optional(
                "client_credentials",
                Kind::Table(source("UpstreamClientCredentials", Vec::new())),
                "Tokens that an authorization server issues for the gateway itself (RFC 6749, section 4.4). All callers are one at the upstream.",
            ),
            optional(
                "token_exchange",
                Kind::Table(source("UpstreamTokenExchange", exchange())),
                "Tokens that an authorization server issues for the token of a caller (RFC 8693). The caller's token goes to that token endpoint, and nowhere else.",
            ),
        ],
    }
}

fn basic() -> Table {
    Table {
        name: "UpstreamBasic",
        keys: vec![
            required("username", Kind::Text, "The user name, without a colon."),
            required(
                "password_file",
                Kind::Text,
                "File with the password on one line, readable only by owner and group. It is read again when it changes.",
            ),
        ],
    }
}

fn exchange() -> Vec<Key> {
    let mut keys = vec![SUBJECT_TYPE.key(), REQUESTED.key()];
    keys.extend(ExchangeSettings::table().keys);
    keys
}

fn source(name: &'static str, more: Vec<Key>) -> Table {
    let mut keys = vec![
        optional(
            "issuer",
            Kind::Text,
            "The authorization server: its metadata has the token endpoint. With token_endpoint, only the audience of assertions (private_key_jwt).",
        ),
        defaulted(
            "token_endpoint",
            Kind::Text,
            "token_endpoint of the issuer's metadata",
            "URL of the token endpoint. https, or http to loopback.",
        ),
        required("client_id", Kind::Text, "The gateway's client id there."),
        optional(
            "client_secret_file",
            Kind::Text,
            "File with the client secret, readable only by owner and group. It is read again when it changes.",
        ),
        optional(
            "private_key_file",
            Kind::Text,
            "PEM file with a private key (PKCS #8; RSA, P-256 or Ed25519) instead of a secret, readable only by owner and group.",
        ),
        defaulted(
            "private_key_id",
            Kind::Text,
            "the thumbprint of the key (RFC 7638)",
            "The kid by which the authorization server knows the key.",
        ),
        defaulted(
            "client_auth",
            words::<ClientMethod>(),
            "client_secret_basic with client_secret_file, private_key_jwt with private_key_file",
            "How the gateway authenticates there. Without a secret and a key, none must be written.",
        ),
        defaulted(
            "scope",
            one_or_many(Kind::Text),
            "none is asked for",
            "Scopes that tokens are asked for.",
        ),
        defaulted(
            "resource",
            one_or_many(Kind::Text),
            "none is named",
            "URLs of the resources that tokens are for (resource, RFC 8707).",
        ),
        defaulted(
            "audience",
            one_or_many(Kind::Text),
            "none is named",
            "Names of the services that tokens are for (audience, RFC 8693), as the authorization server knows them.",
        ),
        optional(
            "ca_file",
            Kind::Text,
            "PEM file with trusted CA certificates for reaching it, instead of the system's.",
        ),
        defaulted(
            "proxy",
            Kind::TextOr(issuer::proxy()),
            "outbound.proxy",
            "The forward proxy for reaching it, in the forms of outbound.proxy; none reaches it directly.",
        ),
    ];
    keys.extend(TokenSettings::table().keys);
    keys.extend(more);
    Table { name, keys }
}
