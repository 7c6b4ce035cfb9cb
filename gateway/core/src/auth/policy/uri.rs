//! Resource URIs that two readers could resolve differently.
//!
//! A rule compares a URI letter by letter. A server that resolves `..`, decodes an encoded slash or reads a backslash as a
//! slash would be asked for another resource than the one that was judged (RFC 3986 §6), so such URIs are refused where
//! rules speak of URIs.

/// Whether a server may resolve this URI to another one.
pub(super) fn is_ambiguous(uri: &str) -> bool {
    uri.bytes()
        .any(|byte| byte == b'\\' || byte.is_ascii_control())
        || hides_a_separator(uri)
        || path(uri).split('/').any(is_dots)
}

/// What stands before a query and a fragment.
fn path(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or(uri)
}

/// An encoded slash, backslash or NUL.
fn hides_a_separator(uri: &str) -> bool {
    let lower = uri.to_ascii_lowercase();
    ["%2f", "%5c", "%00"]
        .iter()
        .any(|code| lower.contains(code))
}

/// `.` and `..`, encoded or not, with or without parameters behind them.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.split(';').next(), Some("." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_that_could_be_resolved_to_another_is_ambiguous() {
        for uri in [
            "file:///a/../b",
            "file:///a/./b",
            "file:///a/..",
            "file:///a/%2e%2E/b",
            "file:///a/.%2e/b",
            "file:///a/..;x/b",
            "file:///a%2fb",
            "file:///a%2Fb",
            "file:///a\\b",
            "file:///a%5Cb",
            "file:///a\u{0}",
            "file:///a%00",
            "file:///a\nb",
            "../a",
            "..",
        ] {
            assert!(is_ambiguous(uri), "{uri:?}");
        }
    }

    #[test]
    fn an_ordinary_uri_is_not() {
        for uri in [
            "tasks://all",
            "file:///a/b.c/..d/e..",
            "file:///a?next=../b",
            "https://example.com/%7Euser/a%20b#./c",
            "tasks://{id}",
            "urn:isbn:0451450523",
            "...",
            "",
        ] {
            assert!(!is_ambiguous(uri), "{uri}");
        }
    }
}
