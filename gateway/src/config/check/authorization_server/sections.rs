//! The smaller parts of the authorization server's section: who may come, and what people see.

use mcp_gateway_core::http::authority::Authority;
use mcp_gateway_oauth::redirect_uri::{RedirectRules, RedirectUriError};

use super::{
    clients::{scopes, secret_file},
    compared::Items,
};
use crate::config::{
    authorization_server::{Branding, Logo, Machines, MetadataDocuments, UnknownClients},
    check::common::{quoted, without_repeats},
    declaration::{
        authorization_server::{
            DOCUMENTS, FETCH, MACHINES, REDIRECT_SCHEMES, Registration, SHIPPED, UNKNOWN_CLIENTS,
        },
        parts::section::Settings,
    },
    files,
    model::PublicUrl,
    reading::reader::{EMPTY, Item, Section},
};

const SCHEME_FORM: &str = "Write the part before the colon in lower case, such as com.example.app. https, and http with a loopback host, need not be listed";

/// Longest name of the service on the pages, in characters.
const MAX_NAME: usize = 80;

/// Reads `registration`: the settings, and the private-use schemes of redirect URIs.
pub(super) fn registration(section: Section<'_>) -> (Registration, Vec<String>) {
    let registration = Registration::read(&section);
    let written = section.raw("redirect_schemes");
    if let Some(item) = written.as_ref().filter(|item| item.is_null()) {
        item.report(
            EMPTY,
            "List the schemes, write [] for none, or remove the key",
        );
    }
    let is_listed = written.is_some();
    let items = section.one_or_many("redirect_schemes").into_iter();
    let listed = items.filter_map(|item| {
        let scheme = scheme(&item)?;
        Some((item, scheme))
    });
    let listed = without_repeats(listed.collect());
    section.finish();
    let schemes = if is_listed {
        listed
    } else {
        REDIRECT_SCHEMES.map(str::to_owned).to_vec()
    };
    (registration, schemes)
}

/// A private-use scheme (RFC 8252 §7.1).
fn scheme(item: &Item<'_>) -> Option<String> {
    let scheme = item.text()?;
    match RedirectRules::may_list(&scheme) {
        Ok(()) => return Some(scheme),
        Err(RedirectUriError::NoScheme) => item.report("must be a URL scheme", SCHEME_FORM),
        Err(error) => item.report(error, SCHEME_FORM),
    }
    None
}

/// Reads `machines`.
pub(super) fn machines<'a>(section: Section<'a>, compared: &mut Items<'a>) -> Machines {
    let token = section.get("initial_access_token_file");
    let machines = Machines {
        enabled: MACHINES.read(&section),
        initial_access_token_file: token.and_then(|item| secret_file(&item)),
        scopes: scopes(&section, compared),
    };
    let is_bounded =
        section.get("initial_access_token_file").is_some() || section.raw("scopes").is_some();
    if machines.enabled && !is_bounded {
        section.report_at(
            "enabled",
            "needs `initial_access_token_file` or `scopes`: otherwise strangers get every scope",
            "Set a file with the token that machines must send, or list the scopes that strangers can get",
        );
    }
    section.finish();
    machines
}

/// Reads `metadata_documents`.
pub(super) fn metadata_documents(section: Section<'_>) -> MetadataDocuments {
    section.refuse_vacant(
        &["domains"],
        "List one, or remove the key: then every domain is accepted",
    );
    let documents = MetadataDocuments {
        enabled: DOCUMENTS.read(&section),
        domains: hosts(&section, "domains"),
        fetch: FETCH.read(&section),
        shipped: SHIPPED.read(&section),
    };
    if documents.enabled && !documents.fetch && !documents.shipped {
        section.report(
            "no metadata document can be known: `fetch` and `shipped` are false",
            "Set one of them to true, or set `enabled: false`",
        );
    }
    section.finish();
    documents
}

/// Reads `unknown_clients`.
pub(super) fn unknown_clients(section: Section<'_>) -> UnknownClients {
    let unknown = UnknownClients {
        allow: UNKNOWN_CLIENTS.read(&section),
        redirect_hosts: hosts(&section, "redirect_hosts"),
    };
    if !unknown.allow && !unknown.redirect_hosts.is_empty() {
        section.report_at(
            "redirect_hosts",
            "has no effect without `allow: true`",
            "Set `allow: true`, or remove the key",
        );
    }
    section.finish();
    unknown
}

/// Host names without ports, in lower case.
fn hosts(section: &Section<'_>, key: &'static str) -> Vec<String> {
    let items = section.one_or_many(key).into_iter();
    let listed = items.filter_map(|item| {
        let host = item.parsed(host, "Write only the name, such as claude.ai")?;
        Some((item, host))
    });
    without_repeats(listed.collect())
}

fn host(text: &str) -> Result<String, &'static str> {
    let host = Authority::parse(text).ok();
    let host = host.filter(|host| host.port().is_none());
    let host = host.ok_or("must be a host name without port")?;
    Ok(host.host().to_ascii_lowercase())
}

/// Reads `branding`.
pub(super) fn branding(section: Section<'_>, public_url: Option<&PublicUrl>) -> Branding {
    let name = section.get("name").and_then(|item| name(&item));
    let branding = Branding {
        name: name.unwrap_or_else(|| {
            public_url.map_or_else(String::new, |url| url.authority.host().to_owned())
        }),
        logo: section.get("logo_file").and_then(|item| logo(&item)),
        color: section.get("color").and_then(|item| color(&item)),
    };
    section.finish();
    branding
}

fn name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        item.report(
            format_args!("must be one line of at most {MAX_NAME} characters"),
            "Write a short name",
        );
    }
    Some(name)
}

fn logo(item: &Item<'_>) -> Option<Logo> {
    let file = item.file()?;
    match files::logo(&file) {
        Ok(media_type) => Some(Logo { file, media_type }),
        Err(error) => {
            let fix = "Use a PNG, JPEG, WebP or SVG file of at most 64KiB";
            item.report_file(&file, &error, fix);
            None
        }
    }
}

fn color(item: &Item<'_>) -> Option<String> {
    let color = item.text()?.to_ascii_lowercase();
    let digits = color.strip_prefix('#').unwrap_or_default();
    if digits.len() != 6 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        item.report(
            format_args!("`{}` is not a color", quoted(&color)),
            "Write # and six hexadecimal digits in quotes, such as \"#0b5cad\"",
        );
        return None;
    }
    Some(color)
}
