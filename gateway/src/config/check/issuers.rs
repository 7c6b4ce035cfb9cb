//! Issuers: the authorization servers whose tokens are accepted, where their keys come from, and the form of their tokens.

use std::collections::{BTreeMap, BTreeSet};

use mcp_gateway_core::{
    similar,
    token::{algorithm::Algorithm, jose::IGNORABLE},
};

use super::common::{quoted, without_repeats};
use crate::config::{
    declaration::issuer::{
        ALLOW_HTTP, CLOCK_SKEW, MAX_LIFETIME, SCOPE_CLAIM, SUBJECT_CLAIM, TOKEN_TYPES,
    },
    files,
    model::{Issuer, KeySource},
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

pub(super) fn issuers(root: &Section<'_>) -> Issuers {
    let fix =
        "Add an issuer, such as issuers: { corporate: { issuer: https://login.example.com/ } }";
    let entries = match root.required("issuers", fix) {
        Some(item) => item.section().entries(),
        None => Vec::new(),
    };
    let mut issuers = Issuers {
        names: BTreeSet::new(),
        usable: BTreeMap::new(),
    };
    for (name, item) in entries {
        if !is_name(&name) {
            item.report(
                "issuer names must have only letters, digits, - and _",
                "Rename the issuer: its name is a label of metrics",
            );
        }
        if let Some(issuer) = issuer(&name, item.section()) {
            issuers.usable.insert(name.clone(), issuer);
        }
        issuers.names.insert(name);
    }
    issuers
}

fn issuer(name: &str, section: Section<'_>) -> Option<Issuer> {
    let allow_http = ALLOW_HTTP.read(&section);
    let issuer = section
        .required(
            "issuer",
            "Write the exact `iss` value of its tokens, such as https://login.example.com/",
        )
        .and_then(|item| identifier(&item, allow_http));
    let issuer = Issuer {
        name: name.to_owned(),
        issuer: issuer.unwrap_or_default(),
        token_types: token_types(&section),
        algorithms: algorithms(&section),
        keys: keys(&section, allow_http),
        ca_file: ca_file(&section, "ca_file"),
        allow_http,
        scope_claims: scope_claims(&section),
        subject_claim: section
            .text("subject_claim")
            .unwrap_or_else(|| SUBJECT_CLAIM.to_owned()),
        clock_skew: CLOCK_SKEW.read(&section),
        max_lifetime: MAX_LIFETIME.read(&section),
        ignored_headers: ignored_headers(&section),
    };
    if issuer.ca_file.is_some() && matches!(issuer.keys, KeySource::File(_)) {
        section.report_at(
            "ca_file",
            "has no effect with `jwks_file`",
            "Remove one of the two",
        );
    }
    section.finish();
    Some(issuer).filter(|issuer| !issuer.issuer.is_empty())
}

/// The issuer identifier (RFC 8414 §2), without query and fragment. It is kept exactly as written.
fn identifier(item: &Item<'_>, allow_http: bool) -> Option<String> {
    let fix = "Write the exact `iss` value of its tokens, such as https://login.example.com/";
    let url = item.parsed(HttpUrl::without_query, fix)?;
    refuse_exposed(item, &url, allow_http);
    if format!("{}/", url.path).contains("/.well-known/") {
        item.report(
            "must be the issuer identifier, not the URL of its metadata",
            "Write the exact `issuer` value from the document at this URL",
        );
    }
    item.text()
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

/// An attacker who can alter keys in transit can issue tokens.
fn refuse_exposed(item: &Item<'_>, url: &HttpUrl, allow_http: bool) {
    if url.is_exposed() && !allow_http {
        item.report(
            "must be https: with plain HTTP an attacker on the network can replace the keys",
            "Use https, or set `allow_http: true` if you trust the network",
        );
    }
}

/// Trusted certificates, read here to check that they are usable.
pub(super) fn ca_file(section: &Section<'_>, key: &'static str) -> Option<std::path::PathBuf> {
    let item = section.get(key)?;
    let path = item.file()?;
    if let Err(error) = files::roots(&path) {
        item.report_file(
            &path,
            &error,
            "Use a PEM file with the certificates to trust",
        );
    }
    Some(path)
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

fn scope_claims(section: &Section<'_>) -> Vec<String> {
    let names = section
        .one_or_many("scope_claim")
        .into_iter()
        .filter_map(|item| {
            let name = item.text()?;
            Some((item, name))
        });
    or_default(without_repeats(names.collect()), &SCOPE_CLAIM)
}

fn or_default(listed: Vec<String>, default: &[&str]) -> Vec<String> {
    if listed.is_empty() {
        return default.iter().map(|name| (*name).to_owned()).collect();
    }
    listed
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}
