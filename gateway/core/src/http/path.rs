//! The path of a request target (RFC 9112 §3.2, RFC 3986 §3.3).
//!
//! Routes match a path exactly or but for its final slash, and the upstream's path comes from the configuration. So nothing is
//! normalised here, and a path that any reader could normalise into another one is refused (GHSA-p224-6x5r-fjpm, CVE-2026-3872).

use std::borrow::Cow;

use super::authority::{Authority, Scheme};
use crate::refusal::reason::Reason;

/// The parts of a request target that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestTarget<'a> {
    /// The path, beginning with a slash, as it was sent.
    pub path: &'a str,
    /// The text after the first question mark, as it was sent.
    pub query: Option<&'a str>,
}

/// Splits a request target in origin form, or in absolute form if it names the same `authority` as the request's `Host` or
/// `:authority`.
///
/// # Errors
/// [`Reason::AmbiguousPath`] for any other form, for characters that URIs do not have, for a fragment, and for a path with dot
/// segments, empty segments, parameters, encoded separators, or encoded characters that need no encoding.
pub fn target<'a>(raw: &'a str, authority: Option<&str>) -> Result<RequestTarget<'a>, Reason> {
    if !raw
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Err(Reason::AmbiguousPath);
    }
    let origin_form = if raw.starts_with('/') {
        raw
    } else {
        without_authority(raw, authority).ok_or(Reason::AmbiguousPath)?
    };
    let (path, query) = match origin_form.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (origin_form, None),
    };
    if is_plain(path) {
        Ok(RequestTarget { path, query })
    } else {
        Err(Reason::AmbiguousPath)
    }
}

/// The same path, or URL without query, but for its final slash: without the one that it has, or with the one that it lacks.
pub fn other_spelling(path: &str) -> Cow<'_, str> {
    match path.strip_suffix('/') {
        Some(shorter) => Cow::Borrowed(shorter),
        None => Cow::Owned(format!("{path}/")),
    }
}

/// Whether a query has an `access_token` (RFC 6750 §2.3, forbidden by OAuth 2.1 §5.1 and MCP authorization), in any spelling of
/// the name.
pub fn has_token(query: &str) -> bool {
    query
        .split(['&', ';'])
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
        .any(|name| decoded(name).eq_ignore_ascii_case(b"access_token"))
}

/// The text after `http://authority` or `https://authority`.
fn without_authority<'a>(raw: &'a str, authority: Option<&str>) -> Option<&'a str> {
    let (scheme, rest) = raw.split_once("://")?;
    let scheme = Scheme::parse(&scheme.to_ascii_lowercase())?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (named, path) = rest.split_at_checked(end)?;
    let named = Authority::parse(named).ok()?.for_scheme(scheme);
    let own = Authority::parse(authority?).ok()?.for_scheme(scheme);
    let path = if path.is_empty() { "/" } else { path };
    (named == own && path.starts_with('/')).then_some(path)
}

/// Whether no reader removes a segment of the path or changes a character.
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with('/')
        && !bytes.windows(2).any(|pair| pair == b"//")
        && !bytes.split(|byte| *byte == b'/').any(is_dots)
        && characters(path)
}

fn is_dots(segment: &[u8]) -> bool {
    segment == b"." || segment == b".."
}

/// Only characters that RFC 3986 allows in a path, without `;`, and only escapes that are needed and decode to UTF-8.
fn characters(path: &str) -> bool {
    let legal = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'
                    ..=b',' | b'=' | b':' | b'@' | b'/' | b'%'
            )
    };
    path.bytes().all(legal) && (!path.contains('%') || escapes(path))
}

fn escapes(path: &str) -> bool {
    let needed = |escape: &str| match escape.get(..2).and_then(octet) {
        Some(byte) if byte.is_ascii() => {
            !byte.is_ascii_alphanumeric()
                && !byte.is_ascii_control()
                && !b"-._~/\\;%".contains(&byte)
        }
        byte => byte.is_some(),
    };
    path.split('%').skip(1).all(needed) && String::from_utf8(decoded(path)).is_ok()
}

/// Percent-decodes a text. Invalid escapes stay as they are.
fn decoded(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part
            .split_at_checked(2)
            .and_then(|(digits, rest)| Some((octet(digits)?, rest)))
        {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend_from_slice(rest.as_bytes());
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    bytes
}

fn octet(digits: &str) -> Option<u8> {
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hexadecimal.then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_spelling_differs_in_the_final_slash() {
        for (one, other) in [
            ("/mcp", "/mcp/"),
            ("/a/b/", "/a/b"),
            ("https://a/b", "https://a/b/"),
        ] {
            assert_eq!(other_spelling(one), other);
            assert_eq!(other_spelling(other), one);
        }
    }

    #[test]
    fn a_target_in_origin_form_is_not_changed() {
        let cases = [
            ("/", "/", None),
            ("/mcp", "/mcp", None),
            ("/mcp/", "/mcp/", None),
            ("/MCP", "/MCP", None),
            ("/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g", None),
            ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,=", None),
            ("/a%20b/%C3%A9", "/a%20b/%C3%A9", None),
            ("/...", "/...", None),
            (
                "/.well-known/oauth-protected-resource/mcp",
                "/.well-known/oauth-protected-resource/mcp",
                None,
            ),
            ("/mcp?", "/mcp", Some("")),
            (
                "/mcp?a=b&c=../..//%2e;d?e",
                "/mcp",
                Some("a=b&c=../..//%2e;d?e"),
            ),
        ];
        for (raw, path, query) in cases {
            assert_eq!(
                target(raw, None),
                Ok(RequestTarget { path, query }),
                "{raw}"
            );
        }
    }

    #[test]
    fn an_absolute_target_must_name_the_same_authority() {
        let own = Some("mcp.example.com");
        for raw in [
            "http://mcp.example.com/mcp?a",
            "https://MCP.example.com/mcp?a",
            "HTTPS://mcp.example.com:443/mcp?a",
            "http://mcp.example.com:80/mcp?a",
        ] {
            let expected = RequestTarget {
                path: "/mcp",
                query: Some("a"),
            };
            assert_eq!(target(raw, own), Ok(expected), "{raw}");
        }
        assert_eq!(
            target("http://mcp.example.com", own),
            Ok(RequestTarget {
                path: "/",
                query: None
            })
        );
        assert_eq!(
            target(
                "http://mcp.example.com:8080/a",
                Some("mcp.example.com:8080")
            ),
            Ok(RequestTarget {
                path: "/a",
                query: None
            })
        );
        let refused = [
            ("http://other.example.com/mcp", own),
            ("http://mcp.example.com:8080/mcp", own),
            ("https://mcp.example.com:80/mcp", own),
            ("http://mcp.example.com/mcp", None),
            ("http://user@mcp.example.com/mcp", own),
            ("http://mcp.example.com./mcp", own),
            ("http:///mcp", own),
            ("http://mcp.example.com?a", own),
            ("http://mcp.example.com/a/../mcp", own),
            ("http:/mcp", own),
            ("http:mcp.example.com/mcp", own),
            ("ftp://mcp.example.com/mcp", own),
            ("://mcp.example.com/mcp", own),
        ];
        for (raw, authority) in refused {
            assert_eq!(target(raw, authority), Err(Reason::AmbiguousPath), "{raw}");
        }
    }

    #[test]
    fn an_ambiguous_target_is_refused() {
        let cases = [
            "",
            "mcp",
            "*",
            "mcp.example.com:443",
            "?a",
            "//mcp",
            "/mcp//",
            "/a//b",
            "//",
            "///",
            "/..",
            "/.",
            "/mcp/..",
            "/mcp/.",
            "/./mcp",
            "/a/../mcp",
            "/mcp/../",
            "/a/./mcp",
            "/%2e%2e/mcp",
            "/%2E./mcp",
            "/.%2e",
            "/%2e",
            "/..;/mcp",
            "/mcp;x",
            "/mcp;",
            "/;/mcp",
            "/mcp%3bx",
            "/mcp%3Bx",
            "/a%2fmcp",
            "/a%2Fmcp",
            "/a%5cmcp",
            "/a%5Cmcp",
            "/a\\mcp",
            "\\mcp",
            "/mcp%00",
            "/mcp%0a",
            "/mcp%0d%0a",
            "/mcp%7f",
            "/mcp%1f",
            "/mcp#a",
            "/mcp?a#b",
            "#",
            "/%6dcp",
            "/mcp%7e",
            "/mcp%2d",
            "/%25",
            "/mcp%252e",
            "/mcp%",
            "/mcp%2",
            "/mcp%zz",
            "/mcp%+1",
            "/mcp%2 ",
            "/%c0%ae%c0%ae/mcp",
            "/%c0%af",
            "/%e0%80%af",
            "/%ff",
            "/%c3",
            "/%c3/%a9",
            "/%ed%a0%80",
            "/mcp ",
            "/m cp",
            "/mcp\t",
            "/mcp\n",
            "/mcp\0",
            "/größe",
            "/mcp?ä",
            "/mcp?a b",
            "/a<b",
            "/a>b",
            "/a\"b",
            "/a{b}",
            "/a|b",
            "/a^b",
            "/a`b",
            "/[a]",
        ];
        for raw in cases {
            assert_eq!(
                target(raw, Some("mcp.example.com")),
                Err(Reason::AmbiguousPath),
                "{raw:?}"
            );
        }
    }

    #[test]
    fn a_token_in_the_query_is_found_in_any_spelling_of_its_name() {
        for query in [
            "access_token=x",
            "access_token",
            "access_token=",
            "a=b&access_token=x",
            "a=b;access_token=x",
            "&&access_token=x",
            "access%5ftoken=x",
            "access%5Ftoken=x",
            "%61%63%63%65%73%73%5f%74%6f%6b%65%6e=x",
            "ACCESS_TOKEN=x",
            "access_token=x&access_token=y",
            "%41ccess_token",
        ] {
            assert!(has_token(query), "{query}");
        }
    }

    #[test]
    fn another_query_has_no_token() {
        for query in [
            "",
            "a=b",
            "a=access_token",
            "access_tokens=x",
            "xaccess_token=x",
            "access-token=x",
            "access%255ftoken=x",
            "access_token%=x",
            "=access_token",
            "%",
        ] {
            assert!(!has_token(query), "{query}");
        }
    }
}
