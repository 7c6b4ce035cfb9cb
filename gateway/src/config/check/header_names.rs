//! Names for headers that have a meaning for the gateway alone: those of the caller's identity, and that of API keys.

use http::HeaderName;
use mcp_gateway_core::{http::forwarding::is_allowed_upstream, mcp::version::Era};

use crate::config::reading::reader::Item;

/// Headers with a meaning in HTTP or for intermediaries, in addition to those that are allowed upstream. A header of the
/// gateway with such a name would replace it or be mistaken for it.
const TAKEN: &[&str] = &[
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "cookie",
    "date",
    "dpop",
    "dpop-nonce",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "last-event-id",
    "origin",
    "range",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Prefixes of such headers.
const TAKEN_PREFIXES: [&str; 7] = [
    "mcp-",
    "client-cert",
    "content-",
    "proxy-",
    "if-",
    "sec-",
    "access-control-",
];

/// A name that no other use has. Underscores are refused: some servers read them as hyphens, and a client could then send the
/// header under another name.
pub(super) fn own(item: &Item<'_>, fix: &str) -> Option<HeaderName> {
    let name = item.text()?.to_ascii_lowercase();
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        item.report(
            "header name must have only letters, digits and hyphens",
            fix,
        );
        return None;
    }
    if is_allowed_upstream(&name, Era::Modern)
        || TAKEN.contains(&name.as_str())
        || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    {
        item.report("header name is reserved for another use", fix);
    }
    HeaderName::from_bytes(name.as_bytes()).ok()
}
