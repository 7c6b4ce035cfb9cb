//! Resource URIs that two readers could resolve differently.
//!
//! A rule compares a URI letter by letter. A server that resolves `..`, decodes an encoded slash or letter, reads a backslash
//! as a slash, or converts scheme and host to lower case would serve another resource than the one that the rule compared (RFC
//! 3986 §6; WHATWG URL, *URL parsing*: several SDKs rewrite every URI by it). So such URIs are refused where rules name
//! URIs.

/// The schemes whose URIs every reader parses in the same way, with the port that can be left out (WHATWG URL, *special
/// scheme*).
const SPECIAL: [(&str, Option<&str>); 6] = [
    ("file", None),
    ("ftp", Some("21")),
    ("http", Some("80")),
    ("https", Some("443")),
    ("ws", Some("80")),
    ("wss", Some("443")),
];

/// Whether a server may resolve this URI to another one.
pub(crate) fn is_ambiguous(uri: &str) -> bool {
    uri.bytes()
        .any(|byte| byte == b'\\' || byte.is_ascii_control())
        || hides_a_separator(uri)
        || hides_a_letter(uri)
        || path(uri).split('/').any(is_dots)
        || uri.trim_matches(' ') != uri
        || scheme(uri).is_some_and(|(scheme, rest)| has_other_spelling(scheme, rest))
}

/// The scheme, and what follows its colon (RFC 3986 §3.1).
fn scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// Whether scheme or authority differ from their usual spelling.
fn has_other_spelling(scheme: &str, rest: &str) -> bool {
    if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return true;
    }
    let Some((_, default_port)) = SPECIAL.iter().find(|(special, _)| *special == scheme) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix("//") else {
        return true;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let path = path(rest).strip_prefix(authority).unwrap_or_default();
    let Some(default_port) = default_port else {
        // A file of this host, and no second slash that a file system drops.
        return !authority.is_empty() || path.contains("//");
    };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let port = host.rsplit_once(':').map(|(_, port)| port);
    host.is_empty()
        || host
            .bytes()
            .any(|byte| byte.is_ascii_uppercase() || byte == b'%')
        || port
            .is_some_and(|port| port.is_empty() || port.starts_with('0') || port == *default_port)
}

/// An encoded letter, digit, `-`, `.`, `_` or `~`: encoded or not, it is the same (RFC 3986 §2.3).
fn hides_a_letter(uri: &str) -> bool {
    uri.as_bytes().windows(3).any(|window| {
        let [b'%', high, low] = window else {
            return false;
        };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let code = digit(high)
            .zip(digit(low))
            .map(|(high, low)| high * 16 + low);
        code.and_then(char::from_u32).is_some_and(|code| {
            code.is_ascii_alphanumeric() || matches!(code, '-' | '.' | '_' | '~')
        })
    })
}

/// The part before a query and a fragment.
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

/// `.` and `..`, encoded or not, with or without parameters after them.
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
            "file:///%73ecret/a",
            "tasks://%7Euser",
            "FILE:///a",
            "Tasks://a",
            "file:/a",
            "file:a",
            "file://localhost/a",
            "file:////a",
            "file:///a//b",
            "https://Example.com/a",
            "https://example.com:443/a",
            "http://example.com:/a",
            "https://example.com:0443/a",
            "https://user@EXAMPLE.com",
            "https://ex%61mple.com/a",
            "https:///example.com/a",
            "https:example.com/a",
            " file:///a",
            "file:///a ",
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
            "https://example.com/~user/a%20b#./c",
            "https://example.com:8443/A//b",
            "http://[::1]:8080/a",
            "https://example.com",
            "https://{host}/{path}",
            "wss://user:Pass@example.com",
            "tasks://{id}",
            "tasks://All//b",
            "tasks://gr\u{f6}\u{df}e/a%C3%B6",
            "file:///C:/a%",
            "a b:c",
            "urn:isbn:0451450523",
            "...",
            "",
        ] {
            assert!(!is_ambiguous(uri), "{uri}");
        }
    }
}
