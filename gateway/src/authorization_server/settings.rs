//! What the configuration says of the authorization server, ready for requests. A reload makes new settings.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use mcp_gateway_core::{
    http::authority::{Authority, Scheme},
    scope::ScopeSet,
};
use mcp_gateway_oauth::{
    client::{
        authentication::secret_digest,
        configured,
        document::Domains,
        metadata,
        model::{Client, ClientKeys, SecretDigest},
        provisional::ProvisionalRules,
        registration::{InitialAccess, Machines, RegistrationPolicy},
        resolve::Directory,
    },
    discovery::{self, Features},
    keys::ServerKeys,
    pages::{Branding, Colour},
    profile::ServerProfile,
    redirect_uri::RedirectRules,
    secret::Secret,
    session::{cookie::Transport, user::Users},
    trust::TrustedIssuer,
};

use super::{
    error::ServerError,
    foreign::{self, Fetched},
    intake,
    keys::server_keys,
    providers::Providers,
};
use crate::{
    config::{
        AuthorizationServer, AuthorizationServerLimits, Config,
        authorization_server::{ConfiguredClient, ConfiguredKeys, ConfiguredMethod, DemoUser},
        files, users_file,
    },
    fetch::internet::Outside,
    telemetry::metrics::Metrics,
};

/// What the configuration says.
pub(super) struct Settings {
    /// The host where the server is served.
    pub(super) host: Authority,
    /// How browsers reach it.
    pub(super) transport: Transport,
    /// What it is.
    pub(super) profile: Arc<ServerProfile>,
    /// Its keys for tags and sealed texts.
    pub(super) keys: Arc<ServerKeys>,
    /// The clients that the operator knows, and which others may come.
    pub(super) directory: Directory,
    /// The documents of clients.
    pub(super) documents: Arc<Fetched>,
    /// Which redirect URIs are allowed.
    pub(super) redirects: RedirectRules,
    /// Who may register.
    pub(super) registration: RegistrationPolicy,
    /// The metadata document.
    pub(super) metadata: Bytes,
    /// How the pages look.
    pub(super) branding: Branding,
    /// The logo on them.
    pub(super) logo: Option<Logo>,
    /// Who may introspect tokens.
    pub(super) resource_servers: Vec<ResourceServer>,
    /// Issuers whose tokens are taken, each with its name among the keys of issuers.
    pub(super) trust: Vec<(String, TrustedIssuer)>,
    /// Whether some client may exchange tokens.
    pub(super) has_token_exchange: bool,
    /// Who may sign in with a password.
    pub(super) users: Arc<Users>,
    /// Whether there is a file of users.
    pub(super) has_passwords: bool,
    /// With whom people sign in.
    pub(super) providers: Arc<Providers>,
    /// The user whose name and password are filled in, in the demo only.
    pub(super) demo: Option<DemoUser>,
    /// The most bytes of a request body.
    pub(super) body_bytes: usize,
    /// The most wrong credentials of one address in a minute.
    pub(super) refusals_per_address: u32,
    /// The most grants that are kept.
    pub(super) max_grants: u64,
    /// The most grants of one user.
    pub(super) max_grants_of_user: usize,
    /// The most browsers in which one user is signed in.
    pub(super) max_sessions_of_user: usize,
    /// How much is taken on.
    pub(super) intake: intake::Limits,
}

/// A logo.
pub(super) struct Logo {
    pub(super) bytes: Bytes,
    pub(super) media_type: &'static str,
}

/// A resource server that may introspect tokens.
pub(super) struct ResourceServer {
    pub(super) id: String,
    pub(super) secret: SecretDigest,
    /// The URIs of its resources.
    pub(super) resources: Vec<String>,
}

impl Settings {
    /// Reads what the configuration names, and keeps the documents of `previous` where nothing changed about them.
    ///
    /// # Errors
    /// A file cannot be used any more since the configuration was checked.
    pub(super) fn new(
        config: &Config,
        own: &AuthorizationServer,
        (outside, metrics): (&Outside, &Arc<Metrics>),
        previous: Option<&Self>,
    ) -> Result<Self, ServerError> {
        let keys = server_keys::load(&own.directory, &own.key_files)?;
        let profile = config.server_profile().ok_or(ServerError::NoResource)?;
        let redirects = RedirectRules {
            private_schemes: own.redirect_schemes.clone(),
            own: Some(config.public_url.own_origin()),
        };
        let users = users(own)?;
        // Every limit is named here: one that is not passed on is an unused variable.
        let AuthorizationServerLimits {
            body_bytes,
            requests,
            requests_per_address,
            refusals_per_address,
            grants,
            grants_per_user,
            sessions_per_user,
        } = own.limits;
        let scheme = config.public_url.scheme();
        Ok(Self {
            host: config.public_url.authority.clone().for_scheme(scheme),
            transport: match scheme {
                Scheme::Https => Transport::Tls,
                Scheme::Http => Transport::PlainLoopback,
            },
            directory: directory(own, &keys, &redirects)?,
            documents: foreign::reuse_or_new(
                previous.map(|previous| &previous.documents),
                (own, &config.outbound),
                outside,
                &redirects,
            )?,
            registration: registration(own, &profile)?,
            metadata: discovery::metadata(
                &profile,
                &features(own, config.takes_client_certificates()),
            )
            .to_string()
            .into(),
            branding: branding(own),
            logo: logo(own)?,
            resource_servers: resource_servers(own, &keys)?,
            trust: (own.trusted_issuers.iter())
                .map(|trusted| (trusted.keys.name.clone(), trusted.trust.clone()))
                .collect(),
            has_token_exchange: has_token_exchange(own),
            users: Arc::new(users.spelled(&profile)),
            has_passwords: own.users_file.is_some(),
            providers: Arc::new(Providers::reuse_or_new(
                previous.map(|previous| &*previous.providers),
                config,
                own,
                metrics,
            )?),
            demo: own.demo.clone(),
            body_bytes,
            refusals_per_address,
            max_grants: grants as u64,
            max_grants_of_user: grants_per_user,
            max_sessions_of_user: sessions_per_user,
            intake: intake::Limits {
                addresses: config.addresses.clone(),
                requests,
                requests_per_address,
                registrations: own.registration.per_minute,
                registrations_per_address: own.registration.per_address_per_minute,
            },
            profile: Arc::new(profile),
            keys: Arc::new(keys),
            redirects,
        })
    }
}

fn users(own: &AuthorizationServer) -> Result<Users, ServerError> {
    let Some(path) = &own.users_file else {
        return Ok(Users::default());
    };
    users_file::read(path).map_err(|findings| {
        let first = findings
            .first()
            .map(|finding| finding.in_file(path).to_string());
        ServerError::Users(first.unwrap_or_default())
    })
}

fn secret(path: &Path) -> Result<Secret, ServerError> {
    let read = files::secret_line(path).map_err(|error| ServerError::file(path, error))?;
    Ok(Secret::new(String::from_utf8_lossy(read.expose())))
}

fn directory(
    own: &AuthorizationServer,
    keys: &ServerKeys,
    redirects: &RedirectRules,
) -> Result<Directory, ServerError> {
    let clients = own.clients.iter().map(|client| {
        let client = configured(client, keys, redirects)?;
        Ok((client.id.clone(), client))
    });
    let documents = &own.metadata_documents;
    let domains = Domains(documents.domains.clone());
    let unknown = &own.unknown_clients;
    Ok(Directory {
        configured: clients.collect::<Result<_, ServerError>>()?,
        documents: documents.enabled.then_some(domains),
        provisional: unknown.allow.then(|| ProvisionalRules {
            hosts: unknown.redirect_hosts.clone(),
        }),
    })
}

fn configured(
    client: &ConfiguredClient,
    keys: &ServerKeys,
    redirects: &RedirectRules,
) -> Result<Client, ServerError> {
    use metadata::MethodName::{ClientSecretBasic, ClientSecretPost, None, PrivateKeyJwt};
    let (method, secret_file, own_keys) = match &client.method {
        ConfiguredMethod::None => (None, Option::None, Option::None),
        ConfiguredMethod::ClientSecretBasic(file) => (ClientSecretBasic, Some(file), Option::None),
        ConfiguredMethod::ClientSecretPost(file) => (ClientSecretPost, Some(file), Option::None),
        ConfiguredMethod::PrivateKeyJwt(keys) => (PrivateKeyJwt, Option::None, Some(keys)),
    };
    let read = configured::ConfiguredClient {
        id: client.id.clone(),
        name: client.name.clone(),
        redirect_uris: client.redirect_uris.clone(),
        method: Some(method),
        secret: secret_file.map(|path| secret(path)).transpose()?,
        keys: own_keys.map(client_keys).transpose()?,
        grant_types: client.grant_types,
        requires_proof: client.dpop_bound,
        requires_certificate: client.certificate_bound,
        scopes: client.scopes.clone(),
    };
    read.client(keys, redirects)
        .map_err(|fault| ServerError::Client {
            id: client.id.clone(),
            fault,
        })
}

fn client_keys(keys: &ConfiguredKeys) -> Result<ClientKeys, ServerError> {
    Ok(match keys {
        ConfiguredKeys::Uri(uri) => ClientKeys::Uri(uri.clone()),
        ConfiguredKeys::File(path) => {
            let unusable = |error| ServerError::file(path, error);
            let set = files::read(path).map_err(unusable)?;
            let set = serde_json::from_slice(&set);
            ClientKeys::Inline(set.map_err(|error| ServerError::file(path, error))?)
        }
    })
}

fn registration(
    own: &AuthorizationServer,
    profile: &ServerProfile,
) -> Result<RegistrationPolicy, ServerError> {
    let known = known_scopes(profile);
    let machines = &own.machines;
    let scopes = machines.scopes.clone();
    let machines = match (machines.enabled, &machines.initial_access_token_file) {
        (false, _) => Machines::default(),
        (true, Some(path)) => Machines {
            initial_access: vec![InitialAccess {
                token: secret(path)?,
                scopes: scopes.unwrap_or_else(|| known.clone()),
            }],
            strangers: None,
        },
        (true, None) => Machines {
            initial_access: Vec::new(),
            strangers: scopes,
        },
    };
    Ok(RegistrationPolicy {
        people: own.registration.enabled,
        machines,
        known_scopes: known,
        max_clients: own.registration.most_clients as u64,
        unused_client: own.lifetimes.unused_client,
    })
}

/// All scopes of all resources.
fn known_scopes(profile: &ServerProfile) -> ScopeSet {
    let resources = profile.resources.iter();
    let scopes = resources.flat_map(|resource| {
        let described = resource.scopes.iter().map(|scope| scope.scope.as_str());
        described.chain(resource.required.iter())
    });
    let scopes: Vec<_> = scopes.collect();
    // Scopes of the configuration are scope tokens.
    ScopeSet::parse(&scopes.join(" ")).unwrap_or_default()
}

fn features(own: &AuthorizationServer, certificate_bound: bool) -> Features {
    let acts_alone = |client: &ConfiguredClient| client.grant_types.client_credentials;
    let features = Features {
        registration: own.registration.enabled || own.machines.enabled,
        metadata_documents: own.metadata_documents.enabled,
        introspection: !own.introspection.is_empty(),
        client_credentials: own.machines.enabled || own.clients.iter().any(acts_alone),
        assertion_grants: takes_grants(own),
        identity_assertions: (own.trusted_issuers.iter())
            .any(|issuer| issuer.trust.id_jag.is_some()),
        token_exchange: has_token_exchange(own),
        certificate_bound,
        signing_algorithms: vec![own.signing.algorithm],
        ..Features::default()
    };
    match takes_assertions(own) {
        true => features,
        false => features.without_assertions(),
    }
}

/// Whether some issuer's tokens are taken as grants.
fn takes_grants(own: &AuthorizationServer) -> bool {
    let mut trusted = own.trusted_issuers.iter().map(|issuer| &issuer.trust);
    trusted.any(|trust| trust.id_jag.is_some() || !trust.workloads.is_empty())
}

fn has_token_exchange(own: &AuthorizationServer) -> bool {
    let exchanges = |client: &ConfiguredClient| client.grant_types.token_exchange;
    own.clients.iter().any(exchanges)
}

/// Whether some client may authenticate with `private_key_jwt`: one of the configuration, one that registers with its keys, or one
/// whose document can be fetched.
fn takes_assertions(own: &AuthorizationServer) -> bool {
    let signs =
        |client: &ConfiguredClient| matches!(client.method, ConfiguredMethod::PrivateKeyJwt(_));
    let documents = &own.metadata_documents;
    own.registration.enabled
        || own.machines.enabled
        || (documents.enabled && documents.fetch)
        || own.clients.iter().any(signs)
}

fn branding(own: &AuthorizationServer) -> Branding {
    Branding {
        name: own.branding.name.clone(),
        has_logo: own.branding.logo.is_some(),
        colour: own
            .branding
            .color
            .as_deref()
            .and_then(|color| Colour::parse(color).ok()),
    }
}

fn logo(own: &AuthorizationServer) -> Result<Option<Logo>, ServerError> {
    let Some(logo) = &own.branding.logo else {
        return Ok(None);
    };
    let bytes = files::read(&logo.file).map_err(|error| ServerError::file(&logo.file, error))?;
    Ok(Some(Logo {
        bytes: bytes.into(),
        media_type: logo.media_type,
    }))
}

fn resource_servers(
    own: &AuthorizationServer,
    keys: &ServerKeys,
) -> Result<Vec<ResourceServer>, ServerError> {
    let servers = own.introspection.iter().map(|server| {
        Ok(ResourceServer {
            id: server.id.clone(),
            secret: secret_digest(keys, &server.id, &secret(&server.secret_file)?),
            resources: server.resources.clone(),
        })
    });
    servers.collect()
}
