//! The checked section of the built-in authorization server.

pub mod providers;

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use mcp_gateway_core::scope::ScopeSet;
use mcp_gateway_oauth::{client::model::GrantTypes, profile::Lifetimes, trust};

use self::providers::ConfiguredProvider;
use crate::config::{
    declaration::authorization_server::{AuthorizationServerLimits, Registration, Signing},
    issuer::Issuer,
};

/// The built-in authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationServer {
    /// The directory of its state: store, keys, control socket. Made with mode 0700 if it is missing.
    pub directory: PathBuf,
    /// The file of users; without it nobody can sign in with a password.
    pub users_file: Option<PathBuf>,
    /// Providers that people sign in with, each name once.
    pub providers: Vec<ConfiguredProvider>,
    /// Its issuer identifier (RFC 8414 §2), without a final slash: the origin of the public URL unless configured.
    pub issuer: String,
    /// The store that several processes share; none: a file in the directory.
    pub store: Option<SharedStore>,
    /// Files of its server keys, the newest first; empty: a file in the directory, made at the first start.
    pub key_files: Vec<PathBuf>,
    /// How access tokens are signed.
    pub signing: Signing,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// Clients that the operator registered, each id once.
    pub clients: Vec<ConfiguredClient>,
    /// Registration of clients that people use.
    pub registration: Registration,
    /// Private-use schemes of redirect URIs, in lower case.
    pub redirect_schemes: Vec<String>,
    /// Registration of machines.
    pub machines: Machines,
    /// Clients with a metadata document.
    pub metadata_documents: MetadataDocuments,
    /// Clients that nobody knows.
    pub unknown_clients: UnknownClients,
    /// Resource servers that may introspect tokens, each id once.
    pub introspection: Vec<ResourceServer>,
    /// Issuers whose tokens it takes, each issuer identifier once.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// What people see.
    pub branding: Branding,
    /// Sizes and counts.
    pub limits: AuthorizationServerLimits,
    /// The user whose name and password are filled in on the sign-in page. The demo sets it; no key of the configuration does.
    pub demo: Option<DemoUser>,
}

/// A store that several processes share: Redis or Valkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedStore {
    /// The key of the configuration that describes it, for messages.
    pub key: &'static str,
    /// Where it is.
    pub servers: StoreServers,
    /// The number of the database.
    pub database: i64,
    /// Whether connections are TLS.
    pub tls: bool,
    /// Certificates of authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The user name; none: the server's default user.
    pub username: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// With what every key begins.
    pub prefix: String,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Where a shared store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreServers {
    /// One server.
    One {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The server that Sentinel names at the moment.
    Sentinels {
        /// Hosts and ports of Sentinels, at least one.
        addresses: Vec<(String, u16)>,
        /// The name of the server there.
        master: String,
    },
}

impl SharedStore {
    /// A sentence for the operator, where others on the network can read what goes there.
    pub fn warning(&self) -> Option<String> {
        let is_loopback = |host: &str| match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost",
        };
        let is_near = match &self.servers {
            StoreServers::One { host, .. } => is_loopback(host),
            StoreServers::Sentinels { addresses, .. } => {
                addresses.iter().all(|(host, _)| is_loopback(host))
            }
        };
        let password = match self.password_file {
            Some(_) => "the password and the rows",
            None => "the rows",
        };
        (!self.tls && !is_near).then(|| {
            format!(
                "{password} of the store go to {} without TLS: write rediss:// in redis.url ({})",
                self.servers, self.key
            )
        })
    }
}

impl fmt::Display for StoreServers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { host, port } => write!(formatter, "{host}:{port}"),
            Self::Sentinels { master, .. } => write!(formatter, "{master} (Sentinel)"),
        }
    }
}

/// The user of the demo. Everybody may know its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoUser {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// A client that the operator registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredClient {
    /// Its `client_id`.
    pub id: String,
    /// The name that people see.
    pub name: Option<String>,
    /// Where answers may go; none for a client that only acts for itself.
    pub redirect_uris: Vec<String>,
    /// How it authenticates.
    pub method: ConfiguredMethod,
    /// What it may do at the token endpoint.
    pub grant_types: GrantTypes,
    /// Whether its tokens are bound to the key that it proves to have.
    pub dpop_bound: bool,
    /// Whether its tokens are bound to the certificate that it presents.
    pub certificate_bound: bool,
    /// The most scopes that it may get; none where it may get all.
    pub scopes: Option<ScopeSet>,
}

/// How a client of the configuration authenticates, with the file that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfiguredMethod {
    /// It is a public client.
    None,
    /// With the secret in this file, in the `Authorization` header.
    ClientSecretBasic(PathBuf),
    /// With the secret in this file, in the body.
    ClientSecretPost(PathBuf),
    /// With an assertion that one of these keys signed.
    PrivateKeyJwt(ConfiguredKeys),
}

/// Where the keys of a configured client are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfiguredKeys {
    /// In this file, a JWK set.
    File(PathBuf),
    /// At this https URL.
    Uri(String),
}

/// Machines that register themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machines {
    /// Whether they may.
    pub enabled: bool,
    /// The file with the token that they must send to register; none where strangers may.
    pub initial_access_token_file: Option<PathBuf>,
    /// The most scopes that they may get; none for all scopes, which needs a token to register.
    pub scopes: Option<ScopeSet>,
}

/// Clients whose id is the URL of their metadata document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataDocuments {
    /// Whether such an id is accepted.
    pub enabled: bool,
    /// The domains of the documents, in lower case, each with the hosts below it; empty for every domain.
    pub domains: Vec<String>,
    /// Whether documents are fetched.
    pub fetch: bool,
    /// Whether shipped copies are used.
    pub shipped: bool,
}

/// Clients whose id nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownClients {
    /// Whether they are treated as public clients.
    pub allow: bool,
    /// The hosts where their answers may go over https, in lower case, in addition to loopback.
    pub redirect_hosts: Vec<String>,
}

/// A resource server that may introspect tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceServer {
    /// The id with which it authenticates.
    pub id: String,
    /// The file with its secret.
    pub secret_file: PathBuf,
    /// The URIs of the resources whose tokens it may ask about, as in `aud`.
    pub resources: Vec<String>,
}

/// An issuer whose tokens the server takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Where its keys come from. Its name is no name of an issuer of resources.
    pub keys: Issuer,
    /// What it is trusted for.
    pub trust: trust::TrustedIssuer,
}

/// What people see on the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// The name of the service: the host of the public URL unless configured.
    pub name: String,
    /// The logo.
    pub logo: Option<Logo>,
    /// The color of buttons and links: `#` and six hexadecimal digits, in lower case.
    pub color: Option<String>,
}

/// A logo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    /// Its file.
    pub file: PathBuf,
    /// Its media type, by its content.
    pub media_type: &'static str,
}
