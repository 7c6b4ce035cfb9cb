//! Issuers whose tokens the authorization server takes: an entry of `authorization_server.trusted_issuers`.

use super::super::{
    issuer,
    parts::{
        amounts::{DAY, SECOND, days},
        key::{Kind, Table, defaulted, list, map, one_or_many, optional, required},
        setting::{Setting, flag, time},
        value::{Flag, Time},
    },
};

/// Whether clients that do not authenticate can present identity assertions.
pub(crate) const PUBLIC_CLIENTS: Setting<Flag> = flag(
    "public_clients",
    false,
    "Accept identity assertions from clients that do not authenticate too. Any program that has such an assertion can then use it.",
);

/// Longest lifetime of a token of a workload, and of a token that is exchanged.
pub(crate) const TOKEN_LIFETIME: Setting<Time> = time(
    "max_lifetime",
    DAY,
    SECOND..=days(366),
    "Longest lifetime of a token of a workload and of a token that is exchanged, from iat to exp. Identity assertions live five minutes at most.",
);

/// An entry of `trusted_issuers`.
pub(super) fn trusted_issuer() -> Table {
    let mut keys = vec![required(
        "issuer",
        Kind::Text,
        "Exact iss value of its tokens. Its keys are found by RFC 8414, then by OpenID Connect Discovery.",
    )];
    keys.extend(issuer::keys());
    keys.extend([
        issuer::CLOCK_SKEW.key(),
        TOKEN_LIFETIME.key(),
        optional(
            "id_jag",
            Kind::Table(id_jag()),
            "Identity assertions (ID-JAG, enterprise-managed authorization) are taken. Write {} for the defaults. Without the key they are refused.",
        ),
        defaulted(
            "workloads",
            list(Kind::Table(workload())),
            "none",
            "Workloads that act as a client of the configuration. A token for which rules of two clients fit is refused.",
        ),
        optional(
            "exchange",
            Kind::Table(exchange()),
            "Its tokens can be exchanged (RFC 8693). Without the key they are refused.",
        ),
    ]);
    Table {
        name: "TrustedIssuer",
        keys,
    }
}

fn id_jag() -> Table {
    Table {
        name: "IdJag",
        keys: vec![
            defaulted(
                "clients",
                one_or_many(Kind::Text),
                "every client that authenticates",
                "Ids of the clients that can present them.",
            ),
            PUBLIC_CLIENTS.key(),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "the scopes of the assertion",
                "The most scopes that an assertion can give.",
            ),
        ],
    }
}

fn workload() -> Table {
    Table {
        name: "Workload",
        keys: vec![
            required(
                "audience",
                Kind::Text,
                "The aud value that its tokens must have, and no other.",
            ),
            defaulted(
                "claims",
                map(Kind::Scalar),
                "none",
                "Claims that its tokens must have, each with exactly this value. Claims or a condition are required.",
            ),
            defaulted(
                "condition",
                Kind::Text,
                "none",
                "A condition in CEL over `claims` that must be true.",
            ),
            required(
                "client",
                Kind::Text,
                "The id of the client in `clients` that it acts as. It needs the grant type jwt-bearer.",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "the scopes of the client",
                "The most scopes that it can get.",
            ),
        ],
    }
}

fn exchange() -> Table {
    Table {
        name: "Exchange",
        keys: vec![
            required(
                "audiences",
                one_or_many(Kind::Text),
                "Accepted aud values of tokens that are exchanged.",
            ),
            defaulted(
                "clients",
                one_or_many(Kind::Text),
                "every client with the grant type token-exchange",
                "Ids of the clients in `clients` that can exchange them.",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "the scopes of the token",
                "The most scopes that the new token can have. Required for tokens without scopes, such as ID tokens: those get none otherwise.",
            ),
        ],
    }
}
