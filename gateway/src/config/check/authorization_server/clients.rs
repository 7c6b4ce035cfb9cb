//! Clients and resource servers that the operator registers.

use std::path::PathBuf;

use mcp_gateway_core::{
    http::outbound::foreign_url::ForeignUrl, scope::ScopeSet, token::evidence::possession::Way,
};
use mcp_gateway_oauth::{
    client::model::GrantTypes,
    redirect_uri::{RedirectRules, RedirectUri},
};

use super::compared::Items;
use crate::config::{
    authorization_server::{ConfiguredClient, ConfiguredKeys, ConfiguredMethod, ResourceServer},
    check::common::{quoted, without_repeats},
    declaration::{
        authorization_server::{CERTIFICATE_BOUND, DPOP_BOUND, GrantType, METHOD, MethodName},
        parts::vocabulary::Vocabulary,
    },
    files,
    reading::reader::{EMPTY, Item, Section},
};

/// Longest id of a client or a resource server, in bytes.
const MAX_ID: usize = 256;

const SECRET_FIX: &str = "Use a file with the secret on one line and mode 0640 or stricter";
const REDIRECT_FORM: &str = "Write an https URL, http with localhost, 127.0.0.1 or [::1], or a scheme of `registration.redirect_schemes`";

/// Reads `clients`.
pub(super) fn clients<'a>(
    section: &Section<'a>,
    (rules, takes_certificates): (&RedirectRules, bool),
    compared: &mut Items<'a>,
) -> Vec<ConfiguredClient> {
    let read = section.list("clients").into_iter().filter_map(|item| {
        let section = item.section();
        let id = section
            .required("id", "Write the client_id")
            .and_then(|item| Some((id(&item)?, item)));
        let client = client(&section, rules, compared);
        check_binding(&section, &client, takes_certificates, compared);
        section.finish();
        let (id, item) = id?;
        Some((item, ConfiguredClient { id, ..client }))
    });
    without_same_id(read.collect(), |client| &client.id)
}

/// Reads `introspection`.
pub(super) fn resource_servers<'a>(
    section: &Section<'a>,
    compared: &mut Items<'a>,
) -> Vec<ResourceServer> {
    let items = section.list("introspection").into_iter();
    let read = items.filter_map(|item| {
        let section = item.section();
        let id = section
            .required("id", "Write the id of the resource server")
            .and_then(|item| Some((id(&item)?, item)));
        let secret_file = section
            .required("secret_file", SECRET_FIX)
            .and_then(|item| secret_file(&item));
        let named = section.one_or_many("resources").into_iter();
        let named: Vec<_> = named
            .filter_map(|item| Some((item.clone(), item.text()?)))
            .collect();
        compared.resources.extend(named.iter().cloned());
        section.refuse_vacant(
            &["resources"],
            "List the resources, or remove the key: then it can ask about all",
        );
        section.finish();
        let (id, item) = id?;
        let server = ResourceServer {
            id,
            secret_file: secret_file?,
            resources: without_repeats(named),
        };
        Some((item, server))
    });
    without_same_id(read.collect(), |server| &server.id)
}

/// Whether a client gets tokens without a user.
pub(super) const fn acts_alone(client: &ConfiguredClient) -> bool {
    client.grant_types.client_credentials || client.grant_types.jwt_bearer
}

fn client<'a>(
    section: &Section<'a>,
    rules: &RedirectRules,
    compared: &mut Items<'a>,
) -> ConfiguredClient {
    let redirect_uris = redirect_uris(section, rules);
    let (named, method) = method(section);
    let grant_types = grant_types(section);
    let scopes = scopes(section, compared);
    if grant_types.authorization_code && redirect_uris.is_empty() {
        section.report_at(
            "redirect_uris",
            "required for authorization_code",
            "Write where answers can go, or set `grant_types: client_credentials`",
        );
    }
    for (has, grant_type) in [
        (grant_types.client_credentials, "client_credentials"),
        (grant_types.token_exchange, "token-exchange"),
    ] {
        if has && named == MethodName::None {
            refuse_public(section, grant_type);
        }
    }
    for (has, grant_type) in [
        (grant_types.client_credentials, "client_credentials"),
        (grant_types.jwt_bearer, "jwt-bearer"),
    ] {
        if has && section.raw("scopes").is_none() {
            refuse_without_scopes(section, grant_type);
        }
    }
    ConfiguredClient {
        id: String::new(),
        name: section.text("name"),
        redirect_uris,
        method,
        grant_types,
        dpop_bound: DPOP_BOUND.read(section),
        certificate_bound: CERTIFICATE_BOUND.read(section),
        scopes,
    }
}

/// A client whose tokens are bound in a way that is not possible gets none.
fn check_binding<'a>(
    section: &Section<'a>,
    client: &ConfiguredClient,
    takes_certificates: bool,
    compared: &mut Items<'a>,
) {
    if client.certificate_bound && client.dpop_bound {
        section.report_at(
            "certificate_bound",
            "cannot be combined with `dpop_bound`: a token is bound in one way",
            "Remove one of the two",
        );
        return;
    }
    if client.certificate_bound && !takes_certificates {
        section.report_at(
            "certificate_bound",
            "must not be true where no client can present a certificate: this client would get no token",
            "Set `client_certificates: request` at a listener with TLS, or `client_certificate_header`, or remove the key",
        );
        return;
    }
    let bound = [
        (client.dpop_bound, "dpop_bound", Way::Dpop),
        (
            client.certificate_bound,
            "certificate_bound",
            Way::MutualTls,
        ),
    ];
    for (_, key, way) in bound.into_iter().filter(|(is_bound, ..)| *is_bound) {
        compared
            .bound
            .extend(section.get(key).map(|item| (item, way)));
    }
}

/// A client that acts for itself or for others proves who it is.
fn refuse_public(section: &Section<'_>, grant_type: &str) {
    section.report_at(
        "method",
        format_args!("{grant_type} needs a client that authenticates"),
        "Set it to client_secret_basic, client_secret_post or private_key_jwt",
    );
}

/// A client that acts for itself gets only what is listed.
fn refuse_without_scopes(section: &Section<'_>, grant_type: &str) {
    section.report_at(
        "scopes",
        format_args!("required for {grant_type}"),
        "List the scopes that this client can get",
    );
}

/// `VSCHAR` of RFC 6749 §A.1, without blanks.
fn id(item: &Item<'_>) -> Option<String> {
    let id = item.text()?;
    if id.len() > MAX_ID || !id.chars().all(|c| c.is_ascii_graphic()) {
        item.report(
            format_args!("must have only ASCII characters, without spaces, and at most {MAX_ID}"),
            "Write an id such as console",
        );
    }
    Some(id)
}

fn without_same_id<T>(read: Vec<(Item<'_>, T)>, id: impl Fn(&T) -> &String) -> Vec<T> {
    let mut unique: Vec<T> = Vec::with_capacity(read.len());
    for (item, one) in read {
        if unique.iter().any(|other| id(other) == id(&one)) {
            item.report("same id as another entry", "Use another id");
        } else {
            unique.push(one);
        }
    }
    unique
}

fn redirect_uris(section: &Section<'_>, rules: &RedirectRules) -> Vec<String> {
    let items = section.one_or_many("redirect_uris").into_iter();
    let listed = items.filter_map(|item| {
        let uri = item.text()?;
        if let Err(error) = RedirectUri::parse(&uri, rules) {
            item.report(error, REDIRECT_FORM);
        }
        Some((item, uri))
    });
    without_repeats(listed.collect())
}

/// The method with the file or URL that proves the client. A missing one is a finding, and reads as a public client.
fn method(section: &Section<'_>) -> (MethodName, ConfiguredMethod) {
    let method = METHOD.read(section);
    let secret = section.get("secret_file");
    let keys = [section.get("jwks_file"), section.get("jwks_uri")];
    let uses_secret = matches!(
        method,
        MethodName::ClientSecretBasic | MethodName::ClientSecretPost
    );
    if let Some(item) = secret.as_ref().filter(|_| !uses_secret) {
        item.report(
            "has no effect with this `method`",
            "Set `method` to client_secret_basic or client_secret_post, or remove the key",
        );
    }
    for item in keys.iter().flatten() {
        if method != MethodName::PrivateKeyJwt {
            item.report(
                "has no effect with this `method`",
                "Set `method: private_key_jwt`, or remove the key",
            );
        }
    }
    let secret = secret.and_then(|item| secret_file(&item));
    let keys = client_keys(section, keys);
    let found = match method {
        MethodName::None => Some(ConfiguredMethod::None),
        MethodName::ClientSecretBasic => secret.map(ConfiguredMethod::ClientSecretBasic),
        MethodName::ClientSecretPost => secret.map(ConfiguredMethod::ClientSecretPost),
        MethodName::PrivateKeyJwt => keys.map(ConfiguredMethod::PrivateKeyJwt),
    };
    let found = found.unwrap_or_else(|| {
        refuse_without_proof(section, uses_secret);
        ConfiguredMethod::None
    });
    (method, found)
}

fn refuse_without_proof(section: &Section<'_>, uses_secret: bool) {
    if uses_secret && section.get("secret_file").is_none() {
        section.report_at("secret_file", "required for this `method`", SECRET_FIX);
    } else if !uses_secret
        && section.get("jwks_file").is_none()
        && section.get("jwks_uri").is_none()
    {
        section.report_at(
            "jwks_file",
            "private_key_jwt needs `jwks_file` or `jwks_uri`",
            "Set one of the two",
        );
    }
}

fn client_keys(section: &Section<'_>, keys: [Option<Item<'_>>; 2]) -> Option<ConfiguredKeys> {
    let [file, uri] = keys;
    if file.is_some() && uri.is_some() {
        section.report_at(
            "jwks_uri",
            "cannot be combined with `jwks_file`",
            "Remove one of the two",
        );
    }
    let file = file.and_then(|item| {
        let path = item.file()?;
        if let Err(error) = files::key_set(&path) {
            let fix = "Use a file with a JWK set of public keys: { \"keys\": [...] }";
            item.report_file(&path, &error, fix);
        }
        Some(ConfiguredKeys::File(path))
    });
    file.or_else(|| {
        let item = uri?;
        let fix = "Write the https URL of the client's key set on the internet, or use `jwks_file`";
        let url = item.parsed(ForeignUrl::parse, fix)?;
        Some(ConfiguredKeys::Uri(url.as_str().to_owned()))
    })
}

/// A file with a secret on one line.
pub(super) fn secret_file(item: &Item<'_>) -> Option<PathBuf> {
    let path = item.file()?;
    if let Err(error) = files::secret_line(&path) {
        item.report_file(&path, &error, SECRET_FIX);
    }
    Some(path)
}

fn grant_types(section: &Section<'_>) -> GrantTypes {
    let listed = section.one_or_many("grant_types");
    if section.raw("grant_types").is_some() && listed.is_empty() {
        section.report_at("grant_types", EMPTY, "Remove the key, or list a grant type");
    }
    if listed.is_empty() {
        return GrantTypes {
            authorization_code: true,
            refresh_token: true,
            ..GrantTypes::default()
        };
    }
    let listed = listed.into_iter().filter_map(|item| {
        let grant = item.choice(GrantType::WORDS)?;
        Some((item, grant))
    });
    let listed = without_repeats(listed.collect());
    let grant_types = GrantTypes {
        authorization_code: listed.contains(&GrantType::AuthorizationCode),
        refresh_token: listed.contains(&GrantType::RefreshToken),
        client_credentials: listed.contains(&GrantType::ClientCredentials),
        jwt_bearer: listed.contains(&GrantType::JwtBearer),
        token_exchange: listed.contains(&GrantType::TokenExchange),
    };
    if grant_types.refresh_token && !grant_types.authorization_code {
        section.report_at(
            "grant_types",
            "refresh_token needs authorization_code",
            "Add authorization_code, or remove refresh_token",
        );
    }
    grant_types
}

/// `scopes` of a client or of machines; none where the key is missing.
pub(super) fn scopes<'a>(section: &Section<'a>, compared: &mut Items<'a>) -> Option<ScopeSet> {
    section.refuse_vacant(
        &["scopes"],
        "List the scopes, or remove the key if its default is meant",
    );
    section.get("scopes")?;
    let items = section.one_or_many("scopes").into_iter();
    let listed: Vec<_> = items
        .filter_map(|item| {
            let scope = item.text()?;
            if ScopeSet::parse(&scope).is_ok_and(|set| set.len() == 1) {
                return Some((item, scope));
            }
            item.report(
                format_args!("`{}` is not a valid scope", quoted(&scope)),
                "Write a list, such as [a, b]. A scope has no spaces, quotes and backslashes",
            );
            None
        })
        .collect();
    let scopes = ScopeSet::from_tokens(listed.iter().map(|(_, scope)| scope));
    compared.scopes.extend(listed);
    Some(scopes.unwrap_or_default())
}
