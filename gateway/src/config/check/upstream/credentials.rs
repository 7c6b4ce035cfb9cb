//! The gateway's own credentials for an upstream: `credentials` of `resources[].upstream`. There is one kind of them, and nothing else may write
//! `Authorization`.

use mcp_gateway_core::{scope::ScopeSet, token::acquired::request::Wanted};

use crate::config::{
    check::{
        common::{ca_file, without_repeats},
        credentials::client_authentication::{client_id, proof},
        outbound,
    },
    declaration::{
        issuer::introspection::ClientMethod,
        parts::section::Settings,
        resource::credentials::{ExchangeSettings, REQUESTED, SUBJECT_TYPE, TokenSettings},
    },
    files,
    model::{Route, UpstreamHeaders},
    outgoing::{
        client_proof::ClientProofFile,
        credentials::{Exchange, TokenSource, UpstreamCredentials},
    },
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

const KINDS: [&str; 3] = ["basic", "client_credentials", "token_exchange"];

/// The longest user name, in bytes.
const MAX_USERNAME: usize = 256;

/// Resources or audiences of one request, at most.
const MAX_TARGETS: usize = 16;

const ENDPOINT_FIX: &str =
    "Write the `token_endpoint` of the issuer's metadata: an https URL, or http to loopback";
const PASSWORD_FIX: &str = "Use a file with the password on one line and mode 0640 or stricter";

/// Reads the credentials, if there are any.
pub(super) fn read(
    upstream: &Section<'_>,
    headers: &UpstreamHeaders,
    route: &Route,
) -> Option<UpstreamCredentials> {
    let Some(item) = upstream.get("credentials") else {
        upstream.refuse_vacant(&["credentials"], "Write a kind, or remove the key");
        return None;
    };
    if headers
        .fixed
        .iter()
        .any(|fixed| fixed.name == "authorization")
    {
        item.report(
            "cannot be combined with the header Authorization in `headers`",
            "Remove one of the two",
        );
    }
    let section = item.section();
    let kinds: Vec<_> = KINDS
        .into_iter()
        .filter(|kind| section.raw(kind).is_some())
        .collect();
    let read = match kinds.as_slice() {
        ["basic"] => basic(section.section("basic")),
        ["client_credentials"] => {
            let source = section.section("client_credentials");
            source_of(source, route, false)
        }
        ["token_exchange"] => source_of(section.section("token_exchange"), route, true),
        _ => {
            section.report(
                "must have exactly one of `basic`, `client_credentials` and `token_exchange`",
                "Keep the one that the upstream expects",
            );
            None
        }
    };
    section.finish();
    read
}

fn basic(section: Section<'_>) -> Option<UpstreamCredentials> {
    let username = section.required("username", "Write the user name that the upstream knows");
    let username = username.and_then(|item| {
        let name = item.text()?;
        let is_name = !name.contains(':') && !name.chars().any(char::is_control);
        if !is_name || name.len() > MAX_USERNAME {
            item.report(
                format_args!(
                    "must have no colon and no control characters, and at most {MAX_USERNAME} bytes"
                ),
                "Write the user name that the upstream knows (RFC 7617, section 2)",
            );
        }
        Some(name)
    });
    let password_file = section.required("password_file", PASSWORD_FIX);
    let password_file = password_file.and_then(|item| {
        let path = item.file()?;
        if let Err(error) = files::password_line(&path) {
            item.report_file(&path, &error, PASSWORD_FIX);
        }
        Some(path)
    });
    section.finish();
    Some(UpstreamCredentials::Basic {
        username: username?,
        password_file: password_file?,
    })
}

fn source_of(
    section: Section<'_>,
    route: &Route,
    is_exchange: bool,
) -> Option<UpstreamCredentials> {
    let issuer = section.get("issuer").and_then(|item| url(&item));
    let endpoint = section.get("token_endpoint").and_then(|item| url(&item));
    let id = section.required("client_id", "Write the client id that the issuer gave");
    let id = id.and_then(|item| client_id(&item));
    let proof = proof(&section);
    if section.get("issuer").is_none() && section.get("token_endpoint").is_none() {
        section.report(
            "must have `issuer` or `token_endpoint`",
            "Write the issuer: its metadata has the token endpoint",
        );
    }
    let signs = matches!(proof, Some((ClientMethod::PrivateKeyJwt, _)));
    if issuer.is_some() && endpoint.is_some() && proof.is_some() && !signs {
        section.report_at(
            "issuer",
            "has no effect with `token_endpoint` unless `private_key_jwt` is used",
            "Remove one of the two",
        );
    }
    let exchange = is_exchange.then(|| Exchange {
        subject_type: SUBJECT_TYPE.read(&section),
        requested: REQUESTED.read(&section),
        settings: ExchangeSettings::read(&section),
    });
    let source = TokenSource {
        exchange,
        issuer,
        endpoint,
        client_id: id.unwrap_or_default(),
        proof: proof
            .and_then(|(_, file)| file)
            .unwrap_or(ClientProofFile::None),
        wanted: wanted(&section),
        ca_file: ca_file(&section, "ca_file"),
        route: outbound::route(&section).unwrap_or_else(|| route.clone()),
        settings: TokenSettings::read(&section),
    };
    section.finish();
    Some(UpstreamCredentials::Token(Box::new(source)))
}

/// A URL, as it is written.
fn url(item: &Item<'_>) -> Option<String> {
    let url = item.parsed(HttpUrl::parse, ENDPOINT_FIX)?;
    if url.is_exposed() {
        item.report(
            "must be https: others on the network could read tokens and secrets",
            ENDPOINT_FIX,
        );
    }
    item.text()
}

fn wanted(section: &Section<'_>) -> Wanted {
    Wanted {
        scopes: values(
            section,
            "scope",
            "must be one scope, without spaces",
            |scope| ScopeSet::parse(scope).is_ok_and(|set| set.iter().count() == 1),
        ),
        resources: values(
            section,
            "resource",
            "must be an absolute URI without fragment",
            |uri| is_text(uri) && uri.contains(':') && !uri.contains('#'),
        ),
        audiences: values(
            section,
            "audience",
            "must be ASCII text without spaces",
            is_text,
        ),
    }
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn values(
    section: &Section<'_>,
    key: &'static str,
    problem: &'static str,
    is_right: impl Fn(&str) -> bool,
) -> Vec<String> {
    let items = section.one_or_many(key);
    if items.len() > MAX_TARGETS {
        section.report_at(
            key,
            format_args!("must not have more than {MAX_TARGETS} entries"),
            "Remove those that the upstream does not need",
        );
    }
    let read = items.into_iter().filter_map(|item| {
        let text = item.text()?;
        if !is_right(&text) {
            item.report(problem, "Write it as the authorization server knows it");
        }
        Some((item, text))
    });
    without_repeats(read.collect())
}
