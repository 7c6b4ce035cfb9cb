//! The built-in authorization server: `authorization_server`. Without the section there is none.

pub(crate) mod providers;

use std::{ops::RangeInclusive, time::Duration};

use mcp_gateway_core::token::algorithm::Algorithm;
use mcp_gateway_oauth::profile;

mod trusted;

pub(crate) use trusted::{PUBLIC_CLIENTS, TOKEN_LIFETIME};

use super::parts::{
    amounts::{DAY, HOUR, KIB, MIB, MINUTE, SECOND, ZERO, days, minutes, seconds},
    key::{Kind, Table, defaulted, list, map, one_or_many, optional, required, text},
    section::{Settings, section},
    setting::{Setting, count, flag, size, time, word},
    value::{Flag, Time, Word},
    vocabulary::{Vocabulary, words},
};

/// Private-use schemes that redirect URIs may have unless the configuration lists others: Cursor has one (RFC 8252 §7.1).
pub(crate) const REDIRECT_SCHEMES: [&str; 1] = ["cursor"];

/// The range of numbers of clients.
const CLIENTS: RangeInclusive<usize> = 1..=10_000_000;

/// Whether the issuer can be another origin than that of the public URL.
pub(crate) const FOREIGN_ISSUER: Setting<Flag> = flag(
    "foreign_issuer",
    false,
    "Allow an issuer that is not the origin of public_url, because a proxy in front maps its URLs to this gateway.",
);

/// How long the shared store may take for an answer.
pub(crate) const STORE_TIMEOUT: Setting<Time> = time(
    "timeout",
    Duration::from_millis(500),
    Duration::from_millis(50)..=seconds(10),
    "Longest time for one answer; after 1.5s the connection is replaced in any case. A change takes 2s at most with all its answers; then the request gets 503.",
);

/// With what the keys in the shared store begin.
pub(crate) const STORE_PREFIX: &str = "mcp-gateway:";

/// Whether the tokens of a client are bound to a key of it.
pub(crate) const DPOP_BOUND: Setting<Flag> = flag(
    "dpop_bound",
    false,
    "Bind its tokens to the key of the DPoP proof that it sends to the token endpoint (RFC 9449); without a proof it gets none. Clients that register say dpop_bound_access_tokens.",
);

/// Whether the tokens of a client are bound to its certificate.
pub(crate) const CERTIFICATE_BOUND: Setting<Flag> = flag(
    "certificate_bound",
    false,
    "Bind its tokens to the certificate that it presents at the token endpoint (RFC 8705); without a certificate it gets none. Needs client_certificates or client_ca at a listener, or client_certificate_header.",
);

/// Whether machines can register themselves.
pub(crate) const MACHINES: Setting<Flag> = flag(
    "enabled",
    false,
    "Accept registrations of clients that use client credentials. Needs initial_access_token_file or scopes.",
);

/// Whether clients can name the URL of their metadata document.
pub(crate) const DOCUMENTS: Setting<Flag> = flag(
    "enabled",
    true,
    "Accept the https URL of a metadata document as client_id (Client ID Metadata Documents).",
);

/// Whether metadata documents are fetched.
pub(crate) const FETCH: Setting<Flag> = flag(
    "fetch",
    true,
    "Fetch metadata documents. With false, only shipped ones are known; other clients get a page with 503.",
);

/// Whether shipped copies are used.
pub(crate) const SHIPPED: Setting<Flag> = flag(
    "shipped",
    true,
    "Use the shipped copies of the documents of well-known clients where fetching fails or is disabled.",
);

/// Whether an unknown client is served.
pub(crate) const UNKNOWN_CLIENTS: Setting<Flag> = flag(
    "allow",
    false,
    "Treat a client id that is not known as a public client, which can be sent only to loopback and redirect_hosts. Otherwise people get a page that says what to do.",
);

/// How a configured client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MethodName {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

impl Vocabulary for MethodName {
    const NAME: &'static str = "ClientMethod";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("client_secret_basic", Self::ClientSecretBasic),
        ("client_secret_post", Self::ClientSecretPost),
        ("private_key_jwt", Self::PrivateKeyJwt),
    ];
}

/// How a configured client authenticates unless it is written.
pub(crate) const METHOD: Setting<Word<MethodName>> = word(
    "method",
    MethodName::None,
    "How it authenticates at the token endpoint: none (a public client), client_secret_basic, client_secret_post or private_key_jwt.",
);

/// A grant type of a configured client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    JwtBearer,
    TokenExchange,
}

impl Vocabulary for GrantType {
    const NAME: &'static str = "GrantType";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("authorization_code", Self::AuthorizationCode),
        ("refresh_token", Self::RefreshToken),
        ("client_credentials", Self::ClientCredentials),
        ("jwt-bearer", Self::JwtBearer),
        ("token-exchange", Self::TokenExchange),
    ];
}

impl Vocabulary for Algorithm {
    const NAME: &'static str = "SigningAlgorithm";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ES256", Self::Es256),
        ("RS256", Self::Rs256),
        ("EdDSA", Self::EdDsa),
    ];
}

section! {
    /// How access tokens are signed.
    #[derive(Copy)]
    pub struct Signing {
        /// Algorithm of new signing keys: ES256, RS256 or EdDSA.
        algorithm: Algorithm = word(Algorithm::Es256),
        /// Time after which a new signing key is made. It is published before it is used, and until the last token that it signed has expired.
        rotation: Duration = time(days(30), HOUR..=days(366)),
    }
}

section! {
    /// How long things live.
    #[derive(Copy)]
    pub struct Lifetimes {
        /// Lifetime of an access token.
        access_token: Duration = time(minutes(15), SECOND..=DAY),
        /// Lifetime of an authorization code.
        code: Duration = time(seconds(60), SECOND..=minutes(10)),
        /// How long the predecessor of a refresh token gets the same answer again, unless its successor was used. 0s allows no repetition.
        refresh_grace: Duration = time(seconds(60), ZERO..=MINUTE),
        /// How long a client can leave a grant unused; then the user must allow it again.
        grant_idle: Duration = time(days(30), SECOND..=days(3660)),
        /// Longest life of a grant, used or not.
        grant: Duration = time(days(180), SECOND..=days(3660)),
        /// How long a browser stays signed in without a visit.
        session_idle: Duration = time(HOUR, SECOND..=days(31)),
        /// How long a browser stays signed in, at most.
        session: Duration = time(minutes(12 * 60), SECOND..=days(31)),
        /// Time for signing in and deciding, from the first page on.
        interaction: Duration = time(minutes(10), SECOND..=HOUR),
        /// How long a client that registered itself stays registered without getting a token.
        unused_client: Duration = time(DAY, SECOND..=days(366)),
    }
}

section! {
    /// Clients that register themselves (RFC 7591), for people.
    #[derive(Copy)]
    pub struct Registration {
        /// Accept registrations of clients that people use.
        enabled: bool = flag(true),
        /// Most clients that are registered at the same time; further registrations get 503. Machines get at most half of them.
        most_clients: usize = count(100_000, CLIENTS),
        /// Most registrations from one client address (IPv6: one /64) in a minute; more get 429. Does not apply to limits.exempt_addresses.
        per_address_per_minute: u32 = count(30, 1..=1_000_000),
        /// Most registrations of all addresses together in a minute; more get 503.
        per_minute: u32 = count(300, 1..=1_000_000),
    }
    and [text(
        "redirect_schemes",
        one_or_many(Kind::Text),
        &REDIRECT_SCHEMES,
        "Private-use schemes that redirect URIs can have, in addition to https and loopback http. Any program on a device can claim such a scheme."
    )]
}

section! {
    /// Sizes and counts of the authorization server.
    #[derive(Copy)]
    pub struct AuthorizationServerLimits {
        /// Largest body of a request: a form or a registration; a larger one gets 413.
        body_bytes: usize = size(64 * KIB, KIB..=MIB),
        /// Most requests in progress; more get 503.
        requests: usize = count(256, 1..=100_000),
        /// Most requests in progress from one client address (IPv6: one /64); more get 429. Does not apply to limits.exempt_addresses.
        requests_per_address: usize = count(64, 1..=100_000),
        /// Most wrong secrets, codes, tokens and passwords from one client address (IPv6: one /64) in a minute. Programs then get 429 for further wrong ones; right ones are always accepted. Does not apply to limits.exempt_addresses.
        refusals_per_address: u32 = count(120, 1..=1_000_000),
        /// Most grants of all users together; further ones get 503.
        grants: usize = count(1_000_000, 1..=100_000_000),
        /// Most grants of one user; at one more, the grant that was not used for the longest time ends.
        grants_per_user: usize = count(256, 1..=10_000),
        /// Most browsers in which one user is signed in; at one more, the session that began first ends.
        sessions_per_user: usize = count(100, 1..=10_000),
    }
}

impl From<Lifetimes> for profile::Lifetimes {
    fn from(read: Lifetimes) -> Self {
        let Lifetimes {
            access_token,
            code,
            refresh_grace,
            grant_idle,
            grant,
            session_idle,
            session,
            interaction,
            unused_client,
        } = read;
        Self {
            access_token,
            code,
            refresh_grace,
            grant_idle,
            grant,
            session_idle,
            session,
            interaction,
            unused_client,
        }
    }
}

/// `authorization_server`.
pub(super) fn authorization_server() -> Table {
    Table {
        name: "AuthorizationServer",
        keys: vec![
            required(
                "directory",
                Kind::Text,
                "Directory of its state: clients and grants, keys, the control socket. Created with mode 0700 if it is missing. Only one process can use it; with store, each process has its own. A change requires a restart.",
            ),
            defaulted(
                "users_file",
                Kind::Text,
                "none, nobody can sign in with a password",
                "YAML file with the users: names, password hashes (mcp-gateway hash-password) and scopes. Readable only by owner and group. It is read again when it changes.",
            ),
            defaulted(
                "providers",
                list(Kind::Table(providers::provider())),
                "none",
                "Providers that people sign in with: the company's OpenID provider, or GitHub.",
            ),
            defaulted(
                "issuer",
                Kind::Text,
                "the origin of public_url",
                "Its issuer identifier: the iss of its tokens, scheme and host without a path. A change requires a restart.",
            ),
            FOREIGN_ISSUER.key(),
            optional(
                "store",
                Kind::Table(store()),
                "A store that several gateways share, instead of a file in the directory: one Redis or Valkey server. Needs key_files. A change requires a restart.",
            ),
            defaulted(
                "key_files",
                list(Kind::Text),
                "a file in the directory, made at the first start",
                "Files with 32 random bytes each, the newest first, for codes, refresh tokens, client secrets and cookies. The first key is used for what is new, every key for what exists. With a shared store, add a new file second on every gateway before it is first on one.",
            ),
            optional(
                "signing",
                Kind::Table(Signing::table()),
                "How access tokens are signed.",
            ),
            optional(
                "lifetimes",
                Kind::Table(Lifetimes::table()),
                "How long things live.",
            ),
            defaulted(
                "clients",
                list(Kind::Table(client())),
                "none",
                "Clients that the operator registers.",
            ),
            optional(
                "registration",
                Kind::Table(Registration::table()),
                "Clients that register themselves (RFC 7591), for people.",
            ),
            optional(
                "machines",
                Kind::Table(machines()),
                "Machines that register themselves and get tokens with client credentials. They never have the scopes of a user.",
            ),
            optional(
                "metadata_documents",
                Kind::Table(metadata_documents()),
                "Clients whose id is the URL of their metadata document.",
            ),
            optional(
                "unknown_clients",
                Kind::Table(unknown_clients()),
                "Clients whose id nobody knows.",
            ),
            defaulted(
                "introspection",
                list(Kind::Table(resource_server())),
                "none",
                "Resource servers that can ask whether a token is active (RFC 7662).",
            ),
            defaulted(
                "trusted_issuers",
                map(Kind::Table(trusted::trusted_issuer())),
                "none",
                "Issuers whose tokens are taken at the token endpoint, by names that appear in logs and metrics. Each is trusted only for what is listed with it.",
            ),
            optional(
                "branding",
                Kind::Table(branding()),
                "What people see on the pages.",
            ),
            optional(
                "limits",
                Kind::Table(AuthorizationServerLimits::table()),
                "Sizes and counts of the authorization server.",
            ),
        ],
    }
}

/// A store that several gateways share.
pub(super) fn store() -> Table {
    Table {
        name: "Store",
        keys: vec![required(
            "redis",
            Kind::Table(redis()),
            "Redis 6.2 or newer, or Valkey: one server, or one that Sentinel names. Clusters are not supported.",
        )],
    }
}

fn redis() -> Table {
    Table {
        name: "Redis",
        keys: vec![
            required(
                "url",
                Kind::Text,
                "Its URL: redis://host:6379/0, or rediss:// for TLS; the number is the database. With sentinels, the host is the name of the server there: redis://mymaster/0.",
            ),
            defaulted(
                "sentinels",
                list(Kind::Text),
                "none",
                "Addresses of Sentinels, such as sentinel-1.example.com:26379. They are asked in this order which server takes changes. With rediss, they use TLS too.",
            ),
            defaulted(
                "username",
                Kind::Text,
                "the default user",
                "User name for the server.",
            ),
            defaulted(
                "password_file",
                Kind::Text,
                "none",
                "File with the password, readable only by owner and group. It is read for each connection.",
            ),
            defaulted(
                "ca_file",
                Kind::Text,
                "the certificate authorities of the system",
                "PEM file with the certificate authorities that are trusted for TLS.",
            ),
            text(
                "prefix",
                Kind::Text,
                &[STORE_PREFIX],
                "With what every key begins. All gateways of one group have the same one, and other groups another.",
            ),
            STORE_TIMEOUT.key(),
        ],
    }
}

fn client() -> Table {
    Table {
        name: "Client",
        keys: vec![
            required("id", Kind::Text, "Its client_id."),
            defaulted("name", Kind::Text, "the id", "The name that people see."),
            defaulted(
                "redirect_uris",
                one_or_many(Kind::Text),
                "none",
                "Where answers can go. Required for authorization_code. https, http with a loopback host (any port), or a scheme of registration.redirect_schemes.",
            ),
            METHOD.key(),
            optional(
                "secret_file",
                Kind::Text,
                "File with its secret, readable only by owner and group. Required for client_secret_basic and client_secret_post.",
            ),
            optional(
                "jwks_file",
                Kind::Text,
                "File with its key set (JWKS). This or jwks_uri is required for private_key_jwt.",
            ),
            optional(
                "jwks_uri",
                Kind::Text,
                "https URL of its key set (JWKS), instead of jwks_file. It is fetched by the rules for documents of strangers: only from the internet, on port 443, within metadata_documents.fetch. For keys in a private network use jwks_file.",
            ),
            text(
                "grant_types",
                one_or_many(words::<GrantType>()),
                &["authorization_code", "refresh_token"],
                "What it can do at the token endpoint: authorization_code and refresh_token (for people), client_credentials (for itself), jwt-bearer (workloads act as it, trusted_issuers.*.workloads), token-exchange (it exchanges tokens of trusted issuers and of this server).",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "all scopes of the resources",
                "The most scopes that it can get. Required for client_credentials and jwt-bearer.",
            ),
            DPOP_BOUND.key(),
            CERTIFICATE_BOUND.key(),
        ],
    }
}

fn machines() -> Table {
    Table {
        name: "Machines",
        keys: vec![
            MACHINES.key(),
            defaulted(
                "initial_access_token_file",
                Kind::Text,
                "none, no token is needed",
                "File with the token that a machine must send to register (RFC 7591, section 3), readable only by owner and group.",
            ),
            defaulted(
                "scopes",
                one_or_many(Kind::Text),
                "all scopes of the resources",
                "The most scopes that such a machine can get. Required without initial_access_token_file.",
            ),
        ],
    }
}

fn metadata_documents() -> Table {
    Table {
        name: "MetadataDocuments",
        keys: vec![
            DOCUMENTS.key(),
            defaulted(
                "domains",
                one_or_many(Kind::Text),
                "every domain",
                "Domains of the documents that are accepted, such as claude.ai (and hosts below it).",
            ),
            FETCH.key(),
            SHIPPED.key(),
        ],
    }
}

fn unknown_clients() -> Table {
    Table {
        name: "UnknownClients",
        keys: vec![
            UNKNOWN_CLIENTS.key(),
            defaulted(
                "redirect_hosts",
                one_or_many(Kind::Text),
                "none",
                "Hosts to which answers for such a client can go over https, in addition to loopback.",
            ),
        ],
    }
}

fn resource_server() -> Table {
    Table {
        name: "ResourceServer",
        keys: vec![
            required(
                "id",
                Kind::Text,
                "The id with which it authenticates (client_secret_basic or client_secret_post).",
            ),
            required(
                "secret_file",
                Kind::Text,
                "File with its secret, readable only by owner and group.",
            ),
            defaulted(
                "resources",
                one_or_many(Kind::Text),
                "all resources of the authorization server",
                "Paths or URIs of the resources whose tokens it can ask about. Other tokens are not active for it.",
            ),
        ],
    }
}

fn branding() -> Table {
    Table {
        name: "Branding",
        keys: vec![
            defaulted(
                "name",
                Kind::Text,
                "the host of public_url",
                "Name of the service on the pages.",
            ),
            defaulted(
                "logo_file",
                Kind::Text,
                "none",
                "PNG, JPEG, WebP or SVG file of at most 64KiB, shown above the forms.",
            ),
            defaulted(
                "color",
                Kind::Text,
                "a blue",
                "Color of buttons and links, such as \"#0b5cad\".",
            ),
        ],
    }
}
