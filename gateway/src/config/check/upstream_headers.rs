//! Headers of requests to an upstream: those of the client that are passed on by name (`pass_headers`), and those with a value
//! of the operator's (`headers`). Names with a meaning for the gateway, for HTTP or for intermediaries are refused.

use http::HeaderName;
use mcp_gateway_core::{http::forwarding::is_allowed_upstream, mcp::version::Era};

use super::common::without_repeats;
use crate::config::{
    declaration::credentials::assertions,
    files::{self, FileError},
    model::{FixedHeader, FixedValue, UpstreamHeaders},
    reading::reader::{Item, Section},
    secret::SecretHeader,
};

/// Headers of either kind, at most.
const MAX_HEADERS: usize = 32;

/// Fields of one connection, of the framing of a message, or of its body, which the gateway sets itself.
const OF_THE_HOP: &[&str] = &[
    "accept",
    "accept-encoding",
    "connection",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "last-event-id",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Prefixes of such fields, and of fields that the gateway judges.
const OF_THE_HOP_PREFIXES: &[&str] = &["mcp-", "content-", "proxy-", "if-", "access-control-"];

/// Fields in which proxies name the client, its host and its scheme. Only a proxy can be trusted to write them.
const OF_PROXIES: &[&str] = &[
    "cf-connecting-ip",
    "client-ip",
    "dpop",
    "early-data",
    "fastly-client-ip",
    "forwarded",
    "origin",
    "proxy",
    "referer",
    "remote-user",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-real-ip",
    "x-remote-user",
    "x-scheme",
    "x-url",
];
const OF_PROXIES_PREFIXES: &[&str] = &[
    "cf-access-",
    "client-cert",
    "sec-",
    "x-accel-",
    "x-amzn-oidc-",
    "x-auth-request-",
    "x-client-cert",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-original-",
    "x-sendfile",
    "x-ssl-",
];

/// Fields by which a server may take another method or URL than the one that was judged.
const OVERRIDING: &[&str] = &[
    "x-middleware-subrequest",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
];

/// The default names of identity headers begin so, and servers trust them; those of assertions begin with [`assertions::PREFIX`].
const OF_IDENTITY_PREFIX: &str = "x-mcp-";

const FIX: &str = "Use a header of the client's own, such as X-Tenant-Id, or remove it";
const FIXED_FIX: &str = "Use a header that the MCP server expects, such as X-Api-Key, or remove it";

/// The headers of an upstream's section.
pub(super) fn upstream_headers(section: &Section<'_>, own: &[&HeaderName]) -> UpstreamHeaders {
    UpstreamHeaders {
        passed: passed(section, own),
        fixed: fixed(section, own),
    }
}

fn passed(section: &Section<'_>, own: &[&HeaderName]) -> Vec<HeaderName> {
    let items = section.one_or_many("pass_headers");
    refuse_too_many(section, "pass_headers", items.len());
    let named = items.into_iter().filter_map(|item| {
        let name = header_name(&item, &item.text()?, FIX)?;
        if let Some(problem) = why_not_passed(name.as_str(), own) {
            item.report(problem, FIX);
            return None;
        }
        Some((item, name))
    });
    without_repeats(named.collect())
}

/// Why a client's header with this name is not passed on.
fn why_not_passed(name: &str, own: &[&HeaderName]) -> Option<&'static str> {
    match name {
        "authorization" => {
            Some("must not be authorization: the caller's token never reaches the upstream")
        }
        "cookie" | "cookie2" => {
            Some("must not be cookie: cookies are credentials for the gateway's site")
        }
        _ if is_own(name, own) || is_of_identity(name) => {
            Some("must not be an identity header, which the gateway sets itself")
        }
        _ if is_of_the_hop(name) => Some(
            "must not be a header of the connection, the body or MCP, which the gateway sets itself",
        ),
        _ if is_allowed_upstream(name, Era::Modern) => Some("is forwarded already"),
        _ if is_listed(name, OF_PROXIES, OF_PROXIES_PREFIXES) => {
            Some("must not be a header in which browsers and proxies name the client or the site")
        }
        _ if OVERRIDING.contains(&name) => {
            Some("must not be a header that replaces the method or URL that was judged")
        }
        _ => None,
    }
}

fn fixed(section: &Section<'_>, own: &[&HeaderName]) -> Vec<FixedHeader> {
    let entries = section.section("headers").entries();
    refuse_too_many(section, "headers", entries.len());
    let mut headers: Vec<FixedHeader> = Vec::new();
    for (text, item) in entries {
        let Some(name) = header_name(&item, &text, FIXED_FIX) else {
            continue;
        };
        if is_own(name.as_str(), own) {
            item.report(
                "must not be an identity header, which has the caller's identity",
                FIXED_FIX,
            );
        } else if name == "host" {
            item.report("must not be host", "Set `host` of the upstream");
        } else if is_of_the_hop(name.as_str()) {
            item.report(
                "must not be a header of the connection, the body or MCP, which the gateway sets itself",
                FIXED_FIX,
            );
        } else if headers.iter().any(|other| other.name == name) {
            item.report("same header name as another", "Remove one of the two");
        }
        headers.extend(value(&item).map(|value| FixedHeader { name, value }));
    }
    headers
}

/// A value, or the file with it.
fn value(item: &Item<'_>) -> Option<FixedValue> {
    if !item.is_mapping() {
        let value = SecretHeader::new(item.text()?.as_bytes());
        if value.is_none() {
            item.report(
                "must be one line of text",
                "Remove line breaks and control characters",
            );
        }
        return value.map(FixedValue::Text);
    }
    let section = item.section();
    let file = section.required("file", "Set the path of a file that contains the value");
    section.finish();
    let file = file?;
    let path = file.file()?;
    if let Err(error) = files::secret_header(&path) {
        file.report_file(&path, &error, file_fix(&error));
    }
    Some(FixedValue::File(path))
}

const fn file_fix(error: &FileError) -> &'static str {
    match error {
        FileError::Exposed => "Set mode 0640 or stricter",
        _ => "Use a file with the value of the header in one line, such as Bearer and a key",
    }
}

/// Underscores are refused: some servers read them as hyphens.
fn header_name(item: &Item<'_>, text: &str, fix: &str) -> Option<HeaderName> {
    let name = text.to_ascii_lowercase();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let name = Some(name).filter(|name| name.chars().all(is_plain));
    let name = name.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
    if name.is_none() {
        item.report(
            "header name must have only letters, digits and hyphens",
            fix,
        );
    }
    name
}

/// Whether the gateway sets this header for the upstream.
fn is_own(name: &str, own: &[&HeaderName]) -> bool {
    own.iter().any(|own| *own == name)
}

/// Whether it begins like the default names of such headers.
fn is_of_identity(name: &str) -> bool {
    name.starts_with(OF_IDENTITY_PREFIX) || name.starts_with(assertions::PREFIX)
}

fn is_of_the_hop(name: &str) -> bool {
    is_listed(name, OF_THE_HOP, OF_THE_HOP_PREFIXES)
}

fn is_listed(name: &str, names: &[&str], prefixes: &[&str]) -> bool {
    names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn refuse_too_many(section: &Section<'_>, key: &str, count: usize) {
    if count > MAX_HEADERS {
        section.report_at(
            key,
            format_args!("must not have more than {MAX_HEADERS} headers"),
            "Remove those that the MCP server does not need",
        );
    }
}
