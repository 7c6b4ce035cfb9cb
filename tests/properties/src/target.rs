//! Request targets: an accepted path is one that no parser changes, and every token that a form parser finds in a query is
//! found here.

use http::Uri;
use mcp_gateway_core::{http::path, refusal::reason::Reason};

/// A request target; after a line feed, the value of `Host`.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (raw, host) = match text.split_once('\n') {
        Some((raw, host)) => (raw, Some(host)),
        None => (text, Some("mcp.example.com")),
    };
    match path::target(raw, host) {
        Ok(target) => accepted(raw, &target),
        Err(reason) => assert_eq!(reason, Reason::AmbiguousPath),
    }
    token(raw);
}

fn accepted(raw: &str, target: &path::RequestTarget<'_>) {
    let path = target.path;
    let whole = match target.query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    assert!(
        raw.ends_with(&whole) || (whole == "/" && !raw.contains("?")),
        "not what was sent"
    );
    assert!(path.starts_with('/') && whole.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!whole.contains('#'), "a fragment");
    // Also if it is decoded several times.
    let once = decode(path);
    for path in [path.as_bytes(), &once, &decode_bytes(&once)] {
        let path = std::str::from_utf8(path).expect("UTF-8");
        assert!(!path.contains(['\\', '\0', '\r', '\n', ';']), "{path:?}");
        assert_eq!(
            path.split('/').count(),
            target.path.split('/').count(),
            "hidden slashes"
        );
        let mut inner = path.split('/').skip(1).peekable();
        while let Some(segment) = inner.next() {
            assert!(segment != "." && segment != "..", "dot segments");
            assert!(
                !segment.is_empty() || inner.peek().is_none(),
                "an empty segment"
            );
        }
    }
    if let Ok(uri) = raw.parse::<Uri>() {
        assert_eq!(uri.path(), path, "the framework sees another path");
        assert_eq!(
            uri.query(),
            target.query,
            "the framework sees another query"
        );
    }
}

/// A parser that reads the query as a form must not find a token that was not found here.
fn token(query: &str) {
    for separator in ['&', ';'] {
        let form = query.replace(separator, "&");
        let found = form_urlencoded::parse(form.as_bytes())
            .any(|(name, _)| name.eq_ignore_ascii_case("access_token"));
        assert!(!found || path::has_token(query), "a token in the query");
    }
}

fn decode(path: &str) -> Vec<u8> {
    decode_bytes(path.as_bytes())
}

fn decode_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let octet = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        (rest, _) = match (first, octet) {
            (b'%', Some(octet)) => (&after[2..], decoded.push(octet)),
            _ => (after, decoded.push(*first)),
        };
    }
    decoded
}
