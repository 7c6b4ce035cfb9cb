//! Assertions about callers: the keys that sign them, and what an upstream receives.

use http::HeaderName;

use crate::config::{
    check::{common::without_repeats, header_names},
    declaration::{
        credentials::assertions::{Assertions, LIFETIME, PUBLISH_BEFORE, UpstreamAssertion},
        identity_headers::IdentityHeaders,
    },
    files::{self, FileError},
    model::{Resource, Upstream, UpstreamTarget},
    reading::reader::{EMPTY, Item, Section},
};

/// The longest audience, in bytes.
const MAX_AUDIENCE: usize = 1024;

const HEADER_FIX: &str = "Use a name such as X-Gateway-Assertion";
const AUDIENCE_FIX: &str =
    "Write a URL or a name that the MCP server expects, such as https://tasks.example.com/mcp";

/// Reads `assertions` of the document.
pub(crate) fn assertions(root: &Section<'_>) -> Assertions {
    let section = root.section("assertions");
    let items = section.list("key_files");
    let publish_before = PUBLISH_BEFORE.read(&section);
    section.finish();
    let mut ids = Vec::new();
    let files = items.into_iter().filter_map(|item| {
        let path = item.file()?;
        match files::assertion_key(&path) {
            Err(error) => item.report_file(&path, &error, key_fix(&error)),
            Ok(key) if ids.iter().any(|id| id == key.id()) => item.report(
                "has the same key as another file",
                "Make a new key, or remove one of the two",
            ),
            Ok(key) => ids.push(key.id().to_owned()),
        }
        Some((item, path))
    });
    Assertions {
        key_files: without_repeats(files.collect()),
        publish_before,
    }
}

const fn key_fix(error: &FileError) -> &'static str {
    match error {
        FileError::Exposed => "Set mode 0640 or stricter",
        _ => {
            "Use a new key (openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256) with mode 0640 or stricter"
        }
    }
}

/// Refuses keys with which nothing is signed.
pub(crate) fn refuse_unused(root: &Section<'_>, resources: &[Resource]) {
    let is_used = resources.iter().any(|own| own.assertion.is_some());
    if let Some(item) = root.raw("assertions").filter(|_| !is_used) {
        item.report(
            "has no effect: no upstream has `assertion`",
            "Add `assertion: {}` to the upstream of a resource, or remove the section",
        );
    }
}

/// Reads `assertion` of an upstream, whose address is the audience unless it names another one.
pub(crate) fn of_upstream(
    upstream_section: &Section<'_>,
    upstream: Option<&Upstream>,
    identity: &IdentityHeaders,
) -> Option<UpstreamAssertion> {
    let item = upstream_section.raw("assertion")?;
    if item.is_null() {
        item.report(EMPTY, "Write {} for the defaults, or remove the key");
        return None;
    }
    let section = item.section();
    let audience = match section.get("audience") {
        Some(item) => audience(&item),
        None if upstream_section.get("endpoints").is_some() => {
            section.report_at(
                "audience",
                "required for `endpoints`: they have a URL each",
                AUDIENCE_FIX,
            );
            None
        }
        None => default_audience(&section, upstream),
    };
    let header = own_name(
        &section,
        "header",
        UpstreamAssertion::DEFAULT_HEADER,
        &identity.names(),
    );
    let taken: Vec<_> = identity.names().into_iter().chain([&header]).collect();
    let request_id_header = own_name(
        &section,
        "request_id_header",
        UpstreamAssertion::DEFAULT_REQUEST_ID_HEADER,
        &taken,
    );
    let lifetime = LIFETIME.read(&section);
    section.finish();
    Some(UpstreamAssertion {
        audience: audience?,
        header,
        request_id_header,
        lifetime,
    })
}

/// A name that no other header of the gateway has.
fn own_name(
    section: &Section<'_>,
    key: &'static str,
    default: HeaderName,
    taken: &[&HeaderName],
) -> HeaderName {
    let Some(item) = section.get(key) else {
        if taken.contains(&&default) {
            section.report_at(
                key,
                format_args!("must be set, because another header has the name {default}"),
                HEADER_FIX,
            );
        }
        return default;
    };
    match header_names::own(&item, HEADER_FIX) {
        Some(name) => {
            if taken.contains(&&name) {
                item.report(
                    "same header name as another header of the gateway",
                    "Use another name",
                );
            }
            name
        }
        None => default,
    }
}

fn audience(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    if text.is_empty() || text.len() > MAX_AUDIENCE || !is_plain {
        item.report(
            format_args!("must be 1 to {MAX_AUDIENCE} ASCII characters without spaces"),
            AUDIENCE_FIX,
        );
    }
    Some(text)
}

/// The URL of the upstream, without its query, which may be secret. A socket has no URL that its server knows.
fn default_audience(section: &Section<'_>, upstream: Option<&Upstream>) -> Option<String> {
    let Upstream { target, path, .. } = upstream?;
    match target {
        UpstreamTarget::Http { authority } => Some(format!("http://{authority}{path}")),
        UpstreamTarget::Https { authority, .. } => Some(format!("https://{authority}{path}")),
        UpstreamTarget::Unix { .. } => {
            section.report_at(
                "audience",
                "required for `unix`: a socket has no URL",
                AUDIENCE_FIX,
            );
            None
        }
    }
}
