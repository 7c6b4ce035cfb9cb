//! Fields with one value that were sent more than once (RFC 9110 §5.3), on several lines or joined by a comma.
//!
//! Some clients and proxies send such a field twice. Equal copies say one thing: they become one before anything of the message
//! is judged, logged or forwarded. Different copies stay, and what reads the field refuses them: which of them a server uses
//! cannot be known.
//!
//! Fields that frame, route or authenticate a request (`Host`, `Content-Length`, `Transfer-Encoding`, `Expect`, `Origin`,
//! `Authorization`) are not among these. A second copy of them is refused where they are read.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::{LAST_EVENT_ID, MCP_PREFIX};
use crate::mcp::headers::{METHOD, PROTOCOL_VERSION, SESSION_ID};

/// A field with the one value of its copies.
pub type Folded = (HeaderName, HeaderValue);

/// Where a comma separates copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// In fields whose values never have one.
    Words,
    /// Also in fields with names and arguments, which may have one: only for a value that does not agree as a whole.
    Texts,
}

/// The fields with several equal lines, each with its one value. Almost every request has none.
pub fn equal_lines(headers: &HeaderMap) -> Vec<Folded> {
    if headers.len() == headers.keys_len() {
        return Vec::new();
    }
    let names = headers.keys().filter(|name| has_one_value(name));
    names
        .filter_map(|name| one_of(headers, name, |_| false))
        .collect()
}

/// The fields with several equal values, on lines or joined by commas, each with its one value.
pub fn equal_values(headers: &HeaderMap, joined: Joined) -> Vec<Folded> {
    let names = headers.keys().filter(|name| match joined {
        Joined::Words => is_word(name),
        Joined::Texts => name.as_str().starts_with(MCP_PREFIX),
    });
    names
        .filter_map(|name| one_of(headers, name, is_comma))
        .collect()
}

/// The text before the first comma, if all others are equal to it; otherwise the whole.
pub fn one_word(text: &str) -> &str {
    let mut words = text.split(',').map(str::trim_ascii);
    let first = words.next().unwrap_or_default();
    match words.all(|word| word == first) {
        true => first,
        false => text,
    }
}

/// The fields with different values that have room for one only.
pub fn differing(headers: &HeaderMap) -> impl Iterator<Item = &HeaderName> {
    headers.keys().filter(|name| {
        let splits = match is_word(name) {
            true => is_comma,
            false => |_: &u8| false,
        };
        let mut copies = copies(headers, name, splits);
        let first = copies.next();
        has_one_value(name) && copies.any(|copy| Some(copy) != first)
    })
}

fn has_one_value(name: &HeaderName) -> bool {
    is_word(name) || *name == LAST_EVENT_ID || name.as_str().starts_with(MCP_PREFIX)
}

/// Whether the field has one value without commas.
fn is_word(name: &HeaderName) -> bool {
    [
        PROTOCOL_VERSION,
        METHOD,
        SESSION_ID,
        CONTENT_TYPE,
        CONTENT_ENCODING,
    ]
    .contains(name)
}

const fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

/// The one value of a field with several equal copies.
fn one_of(headers: &HeaderMap, name: &HeaderName, splits: fn(&u8) -> bool) -> Option<Folded> {
    let mut copies = copies(headers, name, splits);
    let first = copies.next().filter(|first| !first.is_empty())?;
    let is_repeated = copies.next()? == first && copies.all(|copy| copy == first);
    let value = HeaderValue::from_bytes(first).ok()?;
    is_repeated.then(|| (name.clone(), value))
}

fn copies<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    splits: fn(&u8) -> bool,
) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(move |line| line.as_bytes().split(splits))
        .map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn map(lines: Lines<'_>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        map
    }

    fn text(fields: Vec<Folded>) -> Vec<String> {
        let line = |(name, value): (HeaderName, HeaderValue)| {
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))
        };
        fields.into_iter().map(line).collect()
    }

    #[test]
    fn equal_lines_of_a_field_with_one_value_are_one() {
        let cases: &[(Lines<'_>, &[&str])] = &[
            (&[("mcp-name", "a")], &[]),
            (
                &[("mcp-name", "a"), ("mcp-name", "a"), ("mcp-name", "a")],
                &["mcp-name: a"],
            ),
            (
                &[("content-type", " a/b"), ("content-type", "a/b\t")],
                &["content-type: a/b"],
            ),
            (
                &[("last-event-id", "0,0"), ("last-event-id", "0,0")],
                &["last-event-id: 0,0"],
            ),
            (
                &[("mcp-param-x", "ä"), ("mcp-param-x", "ä")],
                &["mcp-param-x: ä"],
            ),
            (&[("mcp-name", "a"), ("mcp-name", "A")], &[]),
            (
                &[("mcp-name", "a"), ("mcp-name", "a"), ("mcp-name", "b")],
                &[],
            ),
            (&[("mcp-name", ""), ("mcp-name", "")], &[]),
            (&[("mcp-name", ""), ("mcp-name", "a")], &[]),
        ];
        for (lines, expected) in cases {
            assert_eq!(text(equal_lines(&map(lines))), *expected, "{lines:?}");
        }
        for name in [
            "host",
            "content-length",
            "transfer-encoding",
            "authorization",
            "origin",
            "expect",
            "accept",
            "x-forwarded-for",
        ] {
            let twice = map(&[(name, "a"), (name, "a")]);
            assert!(equal_lines(&twice).is_empty(), "{name}");
            let joined = map(&[(name, "a, a")]);
            assert!(equal_values(&joined, Joined::Words).is_empty(), "{name}");
            assert!(equal_values(&joined, Joined::Texts).is_empty(), "{name}");
            let two = map(&[(name, "a"), (name, "b")]);
            assert_eq!(differing(&two).next(), None, "{name}");
        }
    }

    #[test]
    fn equal_values_joined_by_a_comma_are_one() {
        for (value, expected) in [
            ("a, a", Some("a")),
            ("a,a", Some("a")),
            ("a \t,\t a , a", Some("a")),
            ("a", None),
            ("a, b", None),
            ("a,", None),
            (", a", None),
            (",", None),
        ] {
            for name in ["mcp-protocol-version", "mcp-method", "content-type"] {
                let found = text(equal_values(&map(&[(name, value)]), Joined::Words));
                let expected = expected.map(|value| format!("{name}: {value}"));
                assert_eq!(found, Vec::from_iter(expected), "{name}: {value}");
            }
            for name in ["mcp-name", "mcp-param-x"] {
                let headers = map(&[(name, value)]);
                assert!(equal_values(&headers, Joined::Words).is_empty(), "{value}");
                let found = text(equal_values(&headers, Joined::Texts));
                let expected = expected.map(|value| format!("{name}: {value}"));
                assert_eq!(found, Vec::from_iter(expected), "{name}: {value}");
            }
            let whole = one_word(value);
            assert_eq!(whole, expected.unwrap_or(whole), "{value}");
        }
        let mixed = map(&[("mcp-method", "a"), ("mcp-method", "a, a")]);
        assert_eq!(text(equal_values(&mixed, Joined::Words)), ["mcp-method: a"]);
        let event = map(&[("last-event-id", "0,0")]);
        assert!(equal_values(&event, Joined::Texts).is_empty());
    }

    #[test]
    fn different_copies_are_found() {
        let cases: &[(Lines<'_>, Option<&str>)] = &[
            (&[("mcp-name", "a"), ("mcp-name", "a")], None),
            (&[("mcp-name", "a, b")], None),
            (&[("mcp-name", "a"), ("mcp-name", "b")], Some("mcp-name")),
            (
                &[("mcp-protocol-version", "a, b")],
                Some("mcp-protocol-version"),
            ),
            (
                &[("content-type", "a/b"), ("content-type", "a/b; c=d")],
                Some("content-type"),
            ),
            (
                &[("last-event-id", "1"), ("last-event-id", "2")],
                Some("last-event-id"),
            ),
        ];
        for (lines, expected) in cases {
            let headers = map(lines);
            let found: Vec<_> = differing(&headers).map(HeaderName::as_str).collect();
            assert_eq!(found, Vec::from_iter(*expected), "{lines:?}");
        }
    }
}
