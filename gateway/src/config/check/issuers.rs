//! Issuers: whose tokens are accepted, where their keys come from, and what their tokens look like.

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
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// Algorithms whose key both signs and verifies (RFC 7518 §3.2).
const SYMMETRIC: [&str; 3] = ["HS256", "HS384", "HS512"];

/// The issuers of a configuration.
pub(super) struct Issuers {
    /// Every name that is defined.
    pub(super) names: BTreeSet<String>,
    /// Those in which nothing is missing.
    pub(super) usable: BTreeMap<String, Issuer>,
}

pub(super) fn issuers(root: &Section<'_>) -> Issuers {
    let mend = "Name one at least: issuers: { corporate: { issuer: https://login.example.com/ } }";
    let entries = match root.required("issuers", mend) {
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
                "has a name with other characters than letters, digits, - and _",
                "Rename it: metrics carry the name",
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
            "Write the iss of its tokens, to the letter: https://login.example.com/",
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
            "does nothing beside jwks_file",
            "Remove one of the two",
        );
    }
    section.finish();
    Some(issuer).filter(|issuer| !issuer.issuer.is_empty())
}

/// The issuer identifier (RFC 8414 §2): no query, no fragment; kept to the letter.
fn identifier(item: &Item<'_>, allow_http: bool) -> Option<String> {
    let mend =
        "Write it as the issuer's metadata and tokens have it, such as https://login.example.com/";
    let url = item.parsed(HttpUrl::without_query, mend)?;
    refuse_exposed(item, &url, allow_http);
    if format!("{}/", url.path).contains("/.well-known/") {
        item.report(
            "is where the issuer's metadata stands, not the issuer",
            "Write the value of issuer in the document at this URL, to the letter",
        );
    }
    item.text()
}

fn keys(section: &Section<'_>, allow_http: bool) -> KeySource {
    let uri = section.get("jwks_uri");
    let file = section.get("jwks_file");
    if let (Some(_), Some(file)) = (&uri, &file) {
        file.report(
            "stands beside jwks_uri",
            "Keep one of the two; without either the keys are discovered",
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
                "Name a JWK set with public keys: { \"keys\": [...] }",
            );
        }
        Some(KeySource::File(path))
    });
    uri.or(file).unwrap_or(KeySource::Discovery)
}

fn jwks_uri(item: &Item<'_>, allow_http: bool) -> Option<String> {
    let url = item.parsed(
        HttpUrl::parse,
        "Write the URL of the JWK set, as the issuer's metadata has it in jwks_uri",
    )?;
    refuse_exposed(item, &url, allow_http);
    item.text()
}

/// Whoever can alter keys on the way can make tokens.
fn refuse_exposed(item: &Item<'_>, url: &HttpUrl, allow_http: bool) {
    if url.is_exposed() && !allow_http {
        item.report(
            "is plain HTTP to another machine, where the keys can be exchanged on the way",
            "Write https, or allow_http: true in a network that you trust",
        );
    }
}

/// Certificates to trust; read here to see that they will do.
pub(super) fn ca_file(section: &Section<'_>, key: &'static str) -> Option<std::path::PathBuf> {
    let item = section.get(key)?;
    let path = item.file()?;
    if let Err(error) = files::roots(&path) {
        item.report_file(
            &path,
            &error,
            "Name a PEM file with the certificates to trust",
        );
    }
    Some(path)
}

/// In lower case and without `application/`, which RFC 7515 §4.1.9 lets issuers leave out.
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
                    "is no media type",
                    "Write at+jwt or JWT, or \"\" for tokens without typ",
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
            format_args!("{name} is symmetric: whoever can check such a token can make one"),
            "Let the issuer sign with RS256 or ES256",
        );
    }
    if name.eq_ignore_ascii_case("none") {
        return item.report(
            "none means that tokens are not signed",
            "Let the issuer sign with RS256 or ES256",
        );
    }
    match similar::nearest(name, known) {
        Some(near) => item.report(
            format_args!("{} is no known algorithm", quoted(name)),
            format_args!("Perhaps {near} is meant"),
        ),
        None => item.report(
            format_args!("{} is no known algorithm", quoted(name)),
            format_args!("Write some of {}", known.join(", ")),
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
                    format_args!("{} cannot be ignored", quoted(&name)),
                    format_args!(
                        "Write some of {}, which carry keys that are never used",
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
