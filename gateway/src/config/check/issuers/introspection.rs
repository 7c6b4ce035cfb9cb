//! How an issuer is asked about its tokens, and what its other keys can mean then.

use mcp_gateway_core::token::introspection::endpoint::Kind;

use super::names::refuse_exposed;
use crate::config::{
    check::{
        common::without_repeats,
        credentials::client_authentication::{self, client_id},
    },
    declaration::{
        issuer::introspection::{ClientMethod, IntrospectionSettings, KIND},
        parts::{section::Settings, vocabulary::Vocabulary},
    },
    issuer::Introspection,
    outgoing::client_proof::ClientProofFile,
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// Keys about signatures, of tokens that are not verified by their signature, and about names that an answer need not have.
const USELESS: [&str; 7] = [
    "tenants",
    "token_types",
    "algorithms",
    "jwks_uri",
    "jwks_file",
    "bearer_file",
    "ignored_headers",
];

/// Reads `introspection` of an issuer.
pub(super) fn introspection(issuer: &Section<'_>, allow_http: bool) -> Option<Introspection> {
    let item = issuer.raw("introspection")?;
    let section = item.section();
    refuse_useless(issuer);
    let kind = KIND.read(&section);
    let endpoint = section
        .get("endpoint")
        .and_then(|item| endpoint(&item, allow_http));
    let client_ids = client_ids(&section, kind);
    let proof = proof(&section, kind);
    let settings = IntrospectionSettings::read(&section);
    section.finish();
    Some(Introspection {
        kind,
        endpoint,
        client_ids,
        proof: proof?,
        settings,
    })
}

fn refuse_useless(issuer: &Section<'_>) {
    for key in USELESS {
        if issuer.get(key).is_some() {
            issuer.report_at(
                key,
                "has no effect with `introspection`: the issuer is asked about its tokens",
                "Remove one of the two",
            );
        }
    }
    if issuer.one_or_many("issuer").len() > 1 {
        issuer.report_at(
            "issuer",
            "must be a single one with `introspection`: an answer need not name its issuer",
            "Configure an issuer for each",
        );
    }
}

fn endpoint(item: &Item<'_>, allow_http: bool) -> Option<String> {
    let url = item.parsed(
        HttpUrl::parse,
        "Write the `introspection_endpoint` value of the issuer's metadata",
    )?;
    refuse_exposed(item, &url, allow_http);
    item.text()
}

fn client_ids(section: &Section<'_>, kind: Kind) -> Vec<String> {
    let items = section.one_or_many("client_id").into_iter();
    let ids = items.filter_map(|item| {
        let id = client_id(&item)?;
        Some((item, id))
    });
    let ids = without_repeats(ids.collect());
    section.refuse_vacant(&["client_id"], "Write the client id, or remove the key");
    let is_missing = section.raw("client_id").is_none();
    match (kind, ids.len()) {
        (Kind::Google | Kind::GitHub, 0) if is_missing => section.report_at(
            "client_id",
            "required for this `kind`: a token is accepted only if it was issued for our application",
            "Write the client id of the application",
        ),
        (Kind::Rfc7662 | Kind::GitHub, 2..) => section.report_at(
            "client_id",
            "must be a single one for this `kind`",
            "Write the client id with which the gateway authenticates",
        ),
        _ => {}
    }
    ids
}

/// How the gateway authenticates.
fn proof(section: &Section<'_>, kind: Kind) -> Option<ClientProofFile> {
    if kind == Kind::Google {
        refuse_authentication(section);
        return Some(ClientProofFile::None);
    }
    let (method, file) = client_authentication::proof(section)?;
    if method != ClientMethod::None && section.get("client_id").is_none() {
        section.report_at(
            "client_id",
            "required for authentication at the endpoint",
            "Write the client id that the issuer gave",
        );
    }
    if kind == Kind::GitHub && method != ClientMethod::SecretBasic {
        section.report_at(
            "client_auth",
            "must be client_secret_basic for github",
            "Use `client_secret_file` with the secret of the application",
        );
    }
    file
}

/// Google answers anybody who has the token, and reads nothing else.
fn refuse_authentication(section: &Section<'_>) {
    const PROBLEM: &str =
        "has no effect with `kind: google`: its endpoint asks for no authentication";
    if let Some(item) = section.get("client_auth")
        && item
            .choice(ClientMethod::WORDS)
            .is_some_and(|method| method != ClientMethod::None)
    {
        item.report(PROBLEM, "Remove it, or set it to none");
    }
    for key in ["client_secret_file", "private_key_file", "private_key_id"] {
        if section.get(key).is_some() {
            section.report_at(key, PROBLEM, "Remove it");
        }
    }
}
