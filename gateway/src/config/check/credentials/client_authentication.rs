//! How the gateway authenticates as a client of an authorization server: the keys of every section that says it.

use std::path::PathBuf;

use crate::config::{
    declaration::{issuer::introspection::ClientMethod, parts::vocabulary::Vocabulary},
    files,
    outgoing::client_proof::ClientProofFile,
    reading::reader::{Item, Section},
};

/// The longest client id, in bytes.
const MAX_CLIENT_ID: usize = 256;

/// A client id.
pub(in crate::config::check) fn client_id(item: &Item<'_>) -> Option<String> {
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
    Some(id)
}

/// How the gateway authenticates, and with which file. What is not said is derived from the file that is there.
pub(in crate::config::check) fn proof(
    section: &Section<'_>,
) -> Option<(ClientMethod, Option<ClientProofFile>)> {
    let (secret, key) = (
        section.get("client_secret_file"),
        section.get("private_key_file"),
    );
    let id = section.get("private_key_id").and_then(|item| item.text());
    let method = match section.get("client_auth") {
        Some(item) => item.choice(ClientMethod::WORDS)?,
        None => derived(section, (secret.is_some(), key.is_some()))?,
    };
    refuse_unread(section, method);
    let proof = match method {
        ClientMethod::None => Some(ClientProofFile::None),
        ClientMethod::SecretBasic => secret_file(section, secret).map(ClientProofFile::Basic),
        ClientMethod::SecretPost => secret_file(section, secret).map(ClientProofFile::Post),
        ClientMethod::PrivateKeyJwt => {
            key_file(section, key).map(|file| ClientProofFile::Key { file, id })
        }
    };
    Some((method, proof))
}

fn derived(section: &Section<'_>, (has_secret, has_key): (bool, bool)) -> Option<ClientMethod> {
    let method = match (has_secret, has_key) {
        (false, true) => Some(ClientMethod::PrivateKeyJwt),
        (true, _) => Some(ClientMethod::SecretBasic),
        (false, false) => None,
    };
    if method.is_none() {
        section.report_at(
            "client_secret_file",
            "required, or `private_key_file`, or `client_auth: none`",
            "Use a file with the secret on one line and mode 0640 or stricter",
        );
    }
    method
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

fn secret_file(section: &Section<'_>, item: Option<Item<'_>>) -> Option<PathBuf> {
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

fn key_file(section: &Section<'_>, item: Option<Item<'_>>) -> Option<PathBuf> {
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
