//! How an issuer is asked about its tokens, and what its other keys can mean then.

use mcp_gateway_core::token::introspection::endpoint::Kind;

use super::names::refuse_exposed;
use crate::config::{
    check::common::without_repeats,
    declaration::{
        issuer::introspection::{ClientMethod, IntrospectionSettings, KIND},
        parts::{section::Settings, vocabulary::Vocabulary},
    },
    files,
    issuer::{Introspection, IntrospectionProof},
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// The longest client id, in bytes.
const MAX_CLIENT_ID: usize = 256;

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
        let id = item.text()?;
        let is_id = id.len() <= MAX_CLIENT_ID && id.chars().all(|c| c.is_ascii_graphic());
        if !is_id {
            item.report(
                format_args!(
                    "must have only ASCII characters, without spaces, and at most {MAX_CLIENT_ID}"
                ),
                "Copy it from the issuer",
            );
        }
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

/// How the gateway authenticates. What is not said is derived from the file that is there.
fn proof(section: &Section<'_>, kind: Kind) -> Option<IntrospectionProof> {
    let (secret, key) = (
        section.get("client_secret_file"),
        section.get("private_key_file"),
    );
    let id = section.get("private_key_id").and_then(|item| item.text());
    let written = section.get("client_auth");
    if kind == Kind::Google {
        refuse_authentication(section, written);
        return Some(IntrospectionProof::None);
    }
    let method = match &written {
        Some(item) => item.choice(ClientMethod::WORDS)?,
        None => derived(section, (secret.is_some(), key.is_some()))?,
    };
    refuse_unread(section, method);
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
    match method {
        ClientMethod::None => Some(IntrospectionProof::None),
        ClientMethod::SecretBasic => secret_file(section, secret).map(IntrospectionProof::Basic),
        ClientMethod::SecretPost => secret_file(section, secret).map(IntrospectionProof::Post),
        ClientMethod::PrivateKeyJwt => {
            key_file(section, key).map(|file| IntrospectionProof::Key { file, id })
        }
    }
}

/// Google answers anybody who has the token, and reads nothing else.
fn refuse_authentication(section: &Section<'_>, written: Option<Item<'_>>) {
    const PROBLEM: &str =
        "has no effect with `kind: google`: its endpoint asks for no authentication";
    if let Some(item) = written
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

fn derived(section: &Section<'_>, (has_secret, has_key): (bool, bool)) -> Option<ClientMethod> {
    match (has_secret, has_key) {
        (_, true) if !has_secret => Some(ClientMethod::PrivateKeyJwt),
        (true, _) => Some(ClientMethod::SecretBasic),
        _ => {
            section.report_at(
                "client_secret_file",
                "required, or `private_key_file`, or `client_auth: none`",
                "Use a file with the secret on one line and mode 0640 or stricter",
            );
            None
        }
    }
}

/// A file that nothing reads is a mistake.
fn refuse_unread(section: &Section<'_>, method: ClientMethod) {
    let unread: &[&'static str] = match method {
        ClientMethod::SecretBasic | ClientMethod::SecretPost => {
            &["private_key_file", "private_key_id"]
        }
        ClientMethod::PrivateKeyJwt => &["client_secret_file"],
        ClientMethod::None => &["client_secret_file", "private_key_file", "private_key_id"],
    };
    for key in unread {
        if section.get(key).is_some() {
            section.report_at(
                key,
                "is not used with this way of authentication (client_auth)",
                "Remove it",
            );
        }
    }
}

fn secret_file(section: &Section<'_>, item: Option<Item<'_>>) -> Option<std::path::PathBuf> {
    const FIX: &str = "Use a file with the secret on one line and mode 0640 or stricter";
    let Some(item) = item else {
        section.report_at("client_secret_file", "required for this `client_auth`", FIX);
        return None;
    };
    let path = item.file()?;
    if let Err(error) = files::secret_line(&path) {
        item.report_file(&path, &error, FIX);
    }
    Some(path)
}

fn key_file(section: &Section<'_>, item: Option<Item<'_>>) -> Option<std::path::PathBuf> {
    const FIX: &str =
        "Use a PEM file with a PKCS #8 key (openssl genpkey) and mode 0640 or stricter";
    let Some(item) = item else {
        section.report_at("private_key_file", "required for this `client_auth`", FIX);
        return None;
    };
    let path = item.file()?;
    if let Err(error) = files::client_key(&path) {
        item.report_file(&path, &error, FIX);
    }
    Some(path)
}
