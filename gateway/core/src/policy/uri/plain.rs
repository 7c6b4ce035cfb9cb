//! A scan that proves that a URI has one reading, without a parser: nearly every URI passes it in a fraction of a microsecond.
//!
//! It may fail for URIs with one reading; it must never pass one with two. The property `resource_uri` compares it with the parser.

use super::reader::scheme;

/// The schemes whose hosts are names or addresses that a parser rewrites (WHATWG URL, *special scheme*); of `file` only the
/// form without a host passes.
const WITH_HOSTS: [&str; 5] = ["ftp", "http", "https", "ws", "wss"];

/// Whether every reader sees this URI as it was sent.
pub(crate) fn is_plain(uri: &str) -> bool {
    let Some((scheme, rest)) = scheme(uri) else {
        return false;
    };
    if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return false;
    }
    let is_special = scheme == "file" || WITH_HOSTS.contains(&scheme);
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let is_plain = match scheme {
                "file" => authority.is_empty() && !path.is_empty(),
                _ if is_special => is_host_name(authority) && !path.is_empty(),
                _ => is_opaque_host(authority),
            };
            if !is_plain {
                return false;
            }
            path
        }
        None if is_special => return false,
        None => rest,
    };
    let end = match scheme {
        "file" => path.find(['?', '#']),
        _ => path.find('#'),
    };
    end.is_none() && is_plain_path(path)
}

/// A host name in lower case: not an IP address in any notation, and not one that IDNA maps.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && !label.starts_with("xn--");
    host.bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
        && host.split('.').all(is_label)
        // The last label of an address begins with a digit.
        && host
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()))
}

/// The host of any other scheme, or none.
fn is_opaque_host(host: &str) -> bool {
    host.bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9') || b"-._~".contains(&byte))
        && !is_dots(host)
}

/// Segments of literal characters, none of them empty but the last, none of them dots; then a query.
fn is_plain_path(path: &str) -> bool {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if !segment.bytes().all(is_literal)
            || segment.split(':').any(is_dots)
            || (segment.is_empty() && !is_last)
        {
            return false;
        }
    }
    let is_plain = |byte: u8| is_literal(byte) || matches!(byte, b'/' | b'?');
    query.bytes().all(is_plain)
}

const fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'('
                | b')'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// Dots alone, with or without parameters after them.
fn is_dots(segment: &str) -> bool {
    let after = segment.trim_start_matches('.');
    after.len() < segment.len() && (after.is_empty() || after.starts_with(';'))
}
