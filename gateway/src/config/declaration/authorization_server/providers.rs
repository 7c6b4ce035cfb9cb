//! Providers that people sign in with: `authorization_server.providers`.

use mcp_gateway_oauth::federation::{preset::Preset, provider::RefreshRule};

use crate::config::declaration::parts::{
    key::{Kind, Table, defaulted, list, one_or_many, optional, required},
    setting::{Setting, flag, word},
    value::{Flag, Word},
    vocabulary::Vocabulary,
};

impl Vocabulary for Preset {
    const NAME: &'static str = "ProviderPreset";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("entra", Self::Entra),
        ("google", Self::Google),
        ("okta", Self::Okta),
        ("auth0", Self::Auth0),
        ("keycloak", Self::Keycloak),
        ("github", Self::GitHub),
        ("oidc", Self::Oidc),
    ];
}

/// The kind of a provider.
pub(crate) const PRESET: Setting<Word<Preset>> = word(
    "preset",
    Preset::Oidc,
    "What it is: entra (Microsoft Entra ID), google, okta, auth0, keycloak, github, or oidc for any other OpenID provider.",
);

impl Vocabulary for RefreshRule {
    const NAME: &'static str = "RefreshRule";
    const WORDS: &'static [(&'static str, Self)] =
        &[("session", Self::Session), ("provider", Self::Provider)];
}

/// How long people stay connected.
pub(crate) const REFRESH: Setting<Word<RefreshRule>> = word(
    "refresh",
    RefreshRule::Session,
    "How long people stay connected. session: until lifetimes.session after their sign-in, or until they sign out. provider: as long as the provider says so; it is asked again at each refresh, and its refresh token is kept, sealed with key_files.",
);

/// Whether PKCE need not be announced.
pub(crate) const UNANNOUNCED_PKCE: Setting<Flag> = flag(
    "unannounced_pkce",
    false,
    "Accept a provider whose metadata does not mention PKCE. It is used all the same. entra and github never mention it.",
);

/// An entry of `providers`.
pub(super) fn provider() -> Table {
    Table {
        name: "Provider",
        keys: vec![
            required(
                "name",
                Kind::Text,
                "Its name, with letters, digits, - and _: in logs, and in the redirect URI to register there: public_url, /callback/ and the name.",
            ),
            PRESET.key(),
            defaulted(
                "issuer",
                Kind::Text,
                "that of entra, google and github; else required",
                "Its issuer identifier, exactly as its metadata spells it. github: the URL of the site, for GitHub Enterprise.",
            ),
            optional(
                "tenants",
                one_or_many(Kind::Text),
                "Ids of the tenants whose accounts can sign in. Required for entra, unless issuer names one tenant.",
            ),
            required("client_id", Kind::Text, "Our client id there."),
            optional(
                "client_secret_file",
                Kind::Text,
                "File with the client secret, readable only by owner and group. This or private_key_file is required.",
            ),
            optional(
                "private_key_file",
                Kind::Text,
                "PEM file with a private key (PKCS #8; RSA, P-256 or Ed25519) instead of a secret, readable only by owner and group: private_key_jwt.",
            ),
            defaulted(
                "private_key_id",
                Kind::Text,
                "the thumbprint of the key (RFC 7638)",
                "The kid by which the provider knows the key.",
            ),
            optional(
                "certificate_file",
                Kind::Text,
                "PEM file with the certificate of the key, by which Entra knows it.",
            ),
            defaulted(
                "label",
                Kind::Text,
                "the name of the product",
                "What people see on the button.",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "those of the preset",
                "The scopes that are asked for there.",
            ),
            defaulted(
                "groups_claim",
                Kind::TextOr(crate::config::declaration::issuer::claim()),
                "groups; none for google, auth0 and github",
                "The claim with the groups of an account. Write a.b for the claim b in the claim a.",
            ),
            optional(
                "may_sign_in",
                Kind::Table(may_sign_in()),
                "Who can sign in: accounts that every key below allows. Required for google, github and other providers where everybody has an account. An empty section or list is refused.",
            ),
            optional(
                "grants",
                Kind::Table(grants()),
                "The scopes that people can allow. Without the section, everything that clients ask for.",
            ),
            REFRESH.key(),
            UNANNOUNCED_PKCE.key(),
            defaulted(
                "api_url",
                Kind::Text,
                "https://api.github.com, or /api/v3 of the site",
                "The URL of GitHub's API, for github.",
            ),
            optional(
                "ca_file",
                Kind::Text,
                "PEM file with trusted CA certificates for reaching it, instead of the system's.",
            ),
        ],
    }
}

fn may_sign_in() -> Table {
    let some = |name, sentence| defaulted(name, one_or_many(Kind::Text), "all", sentence);
    Table {
        name: "MaySignIn",
        keys: vec![
            some(
                "domains",
                "Accounts of these domains: of the verified email, or the hosted domain (hd) for google. Not for entra and github.",
            ),
            some("groups", "Members of one of these groups (groups_claim)."),
            some(
                "subjects",
                "These accounts, by the sub, oid or number that the provider gives them.",
            ),
            some(
                "organizations",
                "Members of one of these organizations of GitHub.",
            ),
            some(
                "teams",
                "Members of one of these teams of GitHub, as organization/team.",
            ),
            optional(
                "condition",
                Kind::Text,
                "A condition in CEL over the claims of the account, such as claims.department == \"research\".",
            ),
        ],
    }
}

fn grants() -> Table {
    Table {
        name: "ProviderGrants",
        keys: vec![
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "none",
                "Scopes that everybody can allow who can sign in.",
            ),
            defaulted(
                "by_claim",
                list(Kind::Table(by_claim())),
                "none",
                "Scopes that some can allow in addition, by a claim.",
            ),
        ],
    }
}

fn by_claim() -> Table {
    Table {
        name: "ScopesByClaim",
        keys: vec![
            required(
                "claim",
                Kind::TextOr(crate::config::declaration::issuer::claim()),
                "The claim: text, or a list of texts. Write a.b for the claim b in the claim a. github: organizations and teams.",
            ),
            required(
                "value",
                Kind::Text,
                "The value: the whole text, or one of the list.",
            ),
            required("scopes", one_or_many(Kind::Text), "What they can allow."),
        ],
    }
}
