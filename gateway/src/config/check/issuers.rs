//! Issuers: the authorization servers whose tokens are accepted, where their keys come from, and the form of their tokens.

mod claims;
mod introspection;
mod names;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use mcp_gateway_core::{
    similar,
    token::{
        algorithm::Algorithm, api_key::entry, claim_path::ClaimPath, introspection::endpoint::Kind,
        jose::IGNORABLE,
    },
};

pub(super) use self::{claims::claim, names::refuse_no_issuer};
use self::{
    claims::{claims, one_claim},
    names::refuse_exposed,
};
use super::{
    common::{ca_file, quoted, without_repeats},
    outbound,
};
use crate::config::{
    built_in::BUILT_IN,
    declaration::issuer::{
        ALLOW_HTTP, CLIENT_CLAIM, CLOCK_SKEW, MAX_LIFETIME, SCOPE_CLAIM, SUBJECT_CLAIM, TOKEN_TYPES,
    },
    files,
    model::{Issuer, IssuerName, KeySource, Route, UsedFor},
    reading::{
        reader::{Item, Section, did_you_mean},
        url::HttpUrl,
    },
};

/// Algorithms whose key both signs and verifies (RFC 7518 §3.2).
const SYMMETRIC: [&str; 3] = ["HS256", "HS384", "HS512"];

/// The issuers of a configuration.
pub(super) struct Issuers {
    /// Every defined name, also of issuers with findings.
    pub(super) names: BTreeSet<String>,
    /// The issuers that have an issuer identifier.
    pub(super) usable: BTreeMap<String, Issuer>,
}

impl Issuers {
    /// Whether a token could be from both of these issuers.
    pub(super) fn overlap(&self, one: &str, other: &str) -> bool {
        match (self.usable.get(one), self.usable.get(other)) {
            (Some(one), Some(other)) => one.overlaps(other),
            _ => false,
        }
    }

    /// Whether the tokens of this issuer are for an application, whatever resource they are used at, and bound to nothing: those of
    /// services that do not know resources.
    pub(super) fn knows_no_resources(&self, name: &str) -> bool {
        let asked = self
            .usable
            .get(name)
            .and_then(|issuer| issuer.introspection.as_ref());
        asked.is_some_and(|asked| matches!(asked.kind, Kind::Google | Kind::GitHub))
    }

    /// Whether this issuer is asked about its tokens.
    pub(super) fn introspects(&self, name: &str) -> bool {
        let issuer = self.usable.get(name);
        issuer.is_some_and(|issuer| issuer.introspection.is_some())
    }
}

/// The issuers; at least one is required where callers have nothing else.
pub(super) fn issuers(root: &Section<'_>, outbound: &Route, may_be_none: bool) -> Issuers {
    let fix = "Add an issuer, such as issuers: { corporate: { issuer: https://login.example.com/ } }, or `authorization_server`, or `api_keys`";
    let found = match may_be_none {
        true => root.get("issuers"),
        false => root.required("issuers", fix),
    };
    let entries = match found {
        Some(item) => item.section().entries(),
        None => Vec::new(),
    };
    let mut issuers = Issuers {
        names: BTreeSet::new(),
        usable: BTreeMap::new(),
    };
    for (name, item) in entries {
        check_name(&name, &item);
        if name == BUILT_IN {
            item.report(
                format_args!("the name {BUILT_IN} is reserved for `authorization_server`"),
                "Rename the issuer",
            );
        }
        if name == entry::ISSUER {
            item.report(
                format_args!("the name {} is reserved for `api_keys`", entry::ISSUER),
                "Rename the issuer",
            );
        }
        if let Some(issuer) = issuer(&name, item.section(), outbound) {
            issuers.usable.insert(name.clone(), issuer);
        }
        issuers.names.insert(name);
    }
    issuers
}

/// Reports a name that cannot be a label of metrics.
pub(super) fn check_name(name: &str, item: &Item<'_>) {
    if !is_name(name) {
        item.report(
            "issuer names must have only letters, digits, - and _",
            "Rename the issuer: its name is a label of metrics",
        );
    }
}

/// An issuer that the authorization server trusts, as far as its keys and its signatures go: it is read here like those of resources,
/// which never see it.
pub(super) fn trusted(name: &str, section: &Section<'_>, outbound: &Route) -> Option<Issuer> {
    let allow_http = ALLOW_HTTP.read(section);
    let identifier = section.required("issuer", names::FIX);
    let identifier = identifier.and_then(|item| names::name(&item, false, allow_http));
    let keys = KeysOfIssuer::read(section, outbound, allow_http);
    let clock_skew = CLOCK_SKEW.read(section);
    let identifier = identifier?;
    let issuer = Issuer {
        // No resource can name it, because of the dot.
        name: format!("trusted_issuers.{name}"),
        names: vec![IssuerName {
            issuer: identifier.as_str().into(),
            tenant: None,
        }],
        issuer: identifier,
        authorization_servers: Vec::new(),
        token_types: Vec::new(),
        algorithms: keys.algorithms,
        keys: keys.source,
        ca_file: keys.ca_file,
        allow_http,
        bearer_file: keys.bearer_file,
        route: keys.route,
        scope_claims: Vec::new(),
        subject_claim: ClaimPath::named(SUBJECT_CLAIM),
        client_claims: Vec::new(),
        clock_skew,
        max_lifetime: MAX_LIFETIME.default(),
        ignored_headers: Vec::new(),
        used_for: UsedFor::TrustedTokens,
        introspection: None,
    };
    refuse_unused(section, &issuer);
    Some(issuer)
}

/// Where the keys of an issuer come from, and what they may sign with.
struct KeysOfIssuer {
    algorithms: Vec<Algorithm>,
    source: KeySource,
    ca_file: Option<PathBuf>,
    bearer_file: Option<PathBuf>,
    route: Route,
}

impl KeysOfIssuer {
    fn read(section: &Section<'_>, outbound: &Route, allow_http: bool) -> Self {
        Self {
            algorithms: algorithms(section),
            source: keys(section, allow_http),
            ca_file: ca_file(section, "ca_file"),
            bearer_file: bearer_file(section),
            route: outbound::route(section).unwrap_or_else(|| outbound.clone()),
        }
    }
}

/// Reports what does not fit to where the keys are.
fn refuse_unused(section: &Section<'_>, issuer: &Issuer) {
    if matches!(issuer.keys, KeySource::File(_)) {
        refuse_fetching(section);
    }
    if issuer.bearer_file.is_some() {
        refuse_exposed_bearer(section, issuer);
    }
}

fn issuer(name: &str, section: Section<'_>, outbound: &Route) -> Option<Issuer> {
    let allow_http = ALLOW_HTTP.read(&section);
    let names = names::names(&section, allow_http);
    let keys = KeysOfIssuer::read(&section, outbound, allow_http);
    let introspection = introspection::introspection(&section, allow_http);
    let source = match &introspection {
        Some(_) => KeySource::Introspection,
        None => keys.source,
    };
    let issuer = Issuer {
        name: name.to_owned(),
        authorization_servers: names::authorization_servers(&section, &names, allow_http),
        issuer: names.written,
        names: names.names,
        token_types: token_types(&section),
        algorithms: keys.algorithms,
        keys: source,
        ca_file: keys.ca_file,
        allow_http,
        bearer_file: keys.bearer_file,
        route: keys.route,
        scope_claims: claims(&section, "scope_claim", &SCOPE_CLAIM),
        subject_claim: one_claim(&section, "subject_claim", SUBJECT_CLAIM),
        client_claims: claims(&section, "client_claim", &CLIENT_CLAIM),
        clock_skew: CLOCK_SKEW.read(&section),
        max_lifetime: MAX_LIFETIME.read(&section),
        ignored_headers: ignored_headers(&section),
        used_for: UsedFor::Resources,
        introspection,
    };
    refuse_unused(&section, &issuer);
    if names.has_tenants && issuer.keys == KeySource::Discovery {
        section.report(
            "needs `jwks_uri`, because of `tenants`",
            "Set it to the key set of all tenants, such as https://login.microsoftonline.com/common/discovery/v2.0/keys",
        );
    }
    section.finish();
    Some(issuer).filter(|issuer| !issuer.issuer.is_empty())
}

/// Nothing is fetched for keys in a file.
fn refuse_fetching(section: &Section<'_>) {
    for key in ["ca_file", "bearer_file", "proxy"] {
        if section.get(key).is_some() {
            section.report_at(
                key,
                "has no effect with `jwks_file`",
                "Remove one of the two",
            );
        }
    }
}

/// The token would be readable on the network, which `allow_http` does not allow.
fn refuse_exposed_bearer(section: &Section<'_>, issuer: &Issuer) {
    let url = match &issuer.keys {
        KeySource::Uri(uri) => uri,
        KeySource::Discovery
        | KeySource::File(_)
        | KeySource::BuiltIn
        | KeySource::Introspection => &issuer.issuer,
    };
    if HttpUrl::parse(url).is_ok_and(|url| url.is_exposed()) {
        section.report_at(
            "bearer_file",
            "must not be used with plain HTTP: others on the network could read the token",
            "Use https for the issuer and its key set",
        );
    }
}

fn bearer_file(section: &Section<'_>) -> Option<PathBuf> {
    let item = section.get("bearer_file")?;
    let path = item.file()?;
    if let Err(error) = files::bearer_token(&path) {
        item.report_file(&path, &error, "Use a file with one bearer token");
    }
    Some(path)
}

fn keys(section: &Section<'_>, allow_http: bool) -> KeySource {
    let uri = section.get("jwks_uri");
    let file = section.get("jwks_file");
    if let (Some(_), Some(file)) = (&uri, &file) {
        file.report(
            "cannot be combined with `jwks_uri`",
            "Remove one of the two. Without both, the keys are found by discovery",
        );
    }
    let uri = uri
        .and_then(|item| jwks_uri(&item, allow_http))
        .map(KeySource::Uri);
    let file = file.and_then(|item| {
        let path = item.file()?;
        if let Err(error) = files::key_set(&path) {
            item.report_file(
                &path,
                &error,
                "Use a file with a JWK set of public keys: { \"keys\": [...] }",
            );
        }
        Some(KeySource::File(path))
    });
    uri.or(file).unwrap_or(KeySource::Discovery)
}

fn jwks_uri(item: &Item<'_>, allow_http: bool) -> Option<String> {
    let url = item.parsed(
        HttpUrl::parse,
        "Write the `jwks_uri` value of the issuer's metadata",
    )?;
    refuse_exposed(item, &url, allow_http);
    item.text()
}

/// In lower case and without `application/`, which issuers may omit (RFC 7515 §4.1.9).
fn token_types(section: &Section<'_>) -> Vec<String> {
    let types = section
        .one_or_many("token_types")
        .into_iter()
        .filter_map(|item| {
            let text = item.any_text()?.to_ascii_lowercase();
            let name = text
                .strip_prefix("application/")
                .unwrap_or(&text)
                .to_owned();
            if !name.chars().all(|c| c.is_ascii_graphic()) {
                item.report(
                    "must be a media type",
                    "Write at+jwt or JWT, or \"\" for tokens without `typ`",
                );
            }
            Some((item, name))
        });
    or_default(without_repeats(types.collect()), &TOKEN_TYPES)
}

fn algorithms(section: &Section<'_>) -> Vec<Algorithm> {
    let listed = section
        .one_or_many("algorithms")
        .into_iter()
        .filter_map(|item| {
            let name = item.text()?;
            let algorithm = Algorithm::parse(&name);
            if algorithm.is_none() {
                refuse_algorithm(&item, &name);
            }
            Some((item, algorithm?))
        });
    let listed = without_repeats(listed.collect());
    if listed.is_empty() {
        Algorithm::ALL.to_vec()
    } else {
        listed
    }
}

fn refuse_algorithm(item: &Item<'_>, name: &str) {
    let known = Algorithm::ALL.map(Algorithm::as_str);
    if SYMMETRIC.contains(&name) {
        return item.report(
            format_args!("{name} is a symmetric algorithm, which is not supported"),
            "Configure the issuer to sign with RS256 or ES256: every service that verifies HMAC tokens could also issue them",
        );
    }
    if name.eq_ignore_ascii_case("none") {
        return item.report(
            "none means unsigned tokens, which are not supported",
            "Configure the issuer to sign with RS256 or ES256",
        );
    }
    match similar::nearest(name, known) {
        Some(near) => item.report(
            format_args!("unknown algorithm `{}`", quoted(name)),
            did_you_mean(near),
        ),
        None => item.report(
            format_args!("unknown algorithm `{}`", quoted(name)),
            format_args!("Known algorithms: {}", known.join(", ")),
        ),
    }
}

fn ignored_headers(section: &Section<'_>) -> Vec<String> {
    let headers = section
        .one_or_many("ignored_headers")
        .into_iter()
        .filter_map(|item| {
            let name = item.text()?;
            if !IGNORABLE.contains(&name.as_str()) {
                item.report(
                    format_args!("header parameter `{}` cannot be ignored", quoted(&name)),
                    format_args!(
                        "Use only {}: the gateway never uses the keys in them",
                        IGNORABLE.join(", ")
                    ),
                );
            }
            Some((item, name))
        });
    without_repeats(headers.collect())
}

fn or_default(listed: Vec<String>, default: &[&str]) -> Vec<String> {
    if listed.is_empty() {
        return default.iter().map(|name| (*name).to_owned()).collect();
    }
    listed
}

/// Whether a text is a name that can be a label of metrics and a part of a path.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
