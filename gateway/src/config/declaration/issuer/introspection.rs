//! How an issuer is asked about its tokens: `introspection` of an entry of `issuers`.

use std::time::Duration;

use mcp_gateway_core::token::introspection::endpoint::Kind;

use crate::config::declaration::parts::{
    amounts::{HOUR, MINUTE, MOMENT, SECOND, ZERO, minutes, seconds},
    key::{self, defaulted, one_or_many, optional},
    section::section,
    setting::{Setting, count, time, word},
    value::Word,
    vocabulary::{Vocabulary, words},
};

/// A method of client authentication (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientMethod {
    /// A secret, in the `Authorization` header.
    SecretBasic,
    /// A secret, in the form.
    SecretPost,
    /// An assertion that a key signed.
    PrivateKeyJwt,
    /// Nothing.
    None,
}

impl Vocabulary for Kind {
    const NAME: &'static str = "IntrospectionKind";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("rfc7662", Self::Rfc7662),
        ("google", Self::Google),
        ("github", Self::GitHub),
    ];
}

impl Vocabulary for ClientMethod {
    const NAME: &'static str = "ClientMethod";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("client_secret_basic", Self::SecretBasic),
        ("client_secret_post", Self::SecretPost),
        ("private_key_jwt", Self::PrivateKeyJwt),
        ("none", Self::None),
    ];
}

/// The protocol of the endpoint.
pub(crate) const KIND: Setting<Word<Kind>> = word(
    "kind",
    Kind::Rfc7662,
    "What is asked: rfc7662 (token introspection), google (tokeninfo) or github (the check of a token for our application).",
);

section! {
    /// How often an introspection endpoint is asked, and how long its answers hold.
    #[derive(Copy)]
    pub struct IntrospectionSettings {
        /// How long a token that is active needs no other question, but not longer than it lives. A revoked token is refused this much later at most. 0s asks at each request.
        cache: Duration = time(seconds(30), ZERO..=minutes(5)),
        /// How long a token that is not active, or not for the resource, is refused without another question.
        negative_cache: Duration = time(seconds(10), ZERO..=minutes(1)),
        /// How often the endpoint is asked about the token of an open stream or a long call, which ends when the token is not active any more.
        recheck: Duration = time(MINUTE, SECOND..=HOUR),
        /// How long an open stream or a long call goes on while the endpoint does not answer.
        stale: Duration = time(minutes(10), ZERO..=HOUR),
        /// Deadline of a question; then the request gets 503.
        timeout: Duration = time(seconds(5), MOMENT..=seconds(30)),
        /// Most questions to the endpoint at once, a quarter of them from one address; then requests get 503.
        calls: usize = count(100, 1..=10_000),
    }
    and [
        KIND.key(),
        defaulted("endpoint", key::Kind::Text, "introspection_endpoint of the issuer's metadata; that of google and github", "URL of the endpoint."),
        optional("client_id", one_or_many(key::Kind::Text), "Our client id there. google: all client ids whose tokens are accepted; github: that of our application."),
        optional("client_secret_file", key::Kind::Text, "File with the client secret, readable only by owner and group."),
        optional("private_key_file", key::Kind::Text, "PEM file with a private key (PKCS #8; RSA, P-256 or Ed25519) instead of a secret, readable only by owner and group."),
        defaulted("private_key_id", key::Kind::Text, "the thumbprint of the key (RFC 7638)", "The kid by which the issuer knows the key."),
        defaulted("client_auth", words::<ClientMethod>(), "client_secret_basic with client_secret_file, private_key_jwt with private_key_file", "How the gateway authenticates there. Without a secret and a key, none must be written.")
    ]
}
