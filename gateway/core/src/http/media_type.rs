//! Checks that the body is JSON without content encoding (MCP transports; RFC 9110 §8.3, §8.4).

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::refusal::reason::Reason;

/// A body must be `application/json`, in UTF-8 and not encoded.
///
/// # Errors
/// [`Reason::UnsupportedMediaType`].
pub fn json_body(headers: &HeaderMap) -> Result<(), Reason> {
    let json = sole(headers, &CONTENT_TYPE).is_some_and(|value| value.is_some_and(is_json));
    let plain = sole(headers, &CONTENT_ENCODING)
        .is_some_and(|value| value.is_none_or(|value| value.eq_ignore_ascii_case("identity")));
    if json && plain {
        Ok(())
    } else {
        Err(Reason::UnsupportedMediaType)
    }
}

/// Compares the media type without case and without parameters.
pub fn is_media_type(value: &HeaderValue, media_type: &str) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(media_type.as_bytes())
    })
}

/// Whether the value names no character encoding other than UTF-8: a reader of another one finds another text in the bytes.
pub fn may_be_utf8(value: &HeaderValue) -> bool {
    let is_charset = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("charset")
    };
    value.to_str().is_ok_and(|value| {
        let parameters = value.split(';').skip(1).map(str::trim);
        parameters.filter(is_charset).all(is_utf8)
    })
}

fn is_json(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json") && parts.all(is_utf8)
}

/// JSON has no parameters (RFC 8259 §11), but many clients send `charset=utf-8`, which changes nothing.
fn is_utf8(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let value = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("utf-8")
}

/// The text of a field that is present at most once; `None` if it is repeated or not plain text.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::to_str);
    match (values.next(), values.next()) {
        (value, None) => value.transpose().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(headers: &[(HeaderName, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        json_body(&map).is_ok()
    }

    #[test]
    fn json_is_accepted() {
        for value in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(is_accepted(&[(CONTENT_TYPE, value)]), "{value}");
        }
        assert!(is_accepted(&[
            (CONTENT_TYPE, "application/json"),
            (CONTENT_ENCODING, "identity")
        ]));
    }

    #[test]
    fn a_value_that_names_another_encoding_is_found() {
        for (value, expected) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("text/event-stream;Charset=\"UTF-8\"; x=y", true),
            ("application/json; charset=utf-16", false),
            ("application/json; x=y; charset=utf-7", false),
            ("application/json; charset = utf-16le", false),
            ("application/json; charset", false),
            ("application/json; charset=utf-8; charset=utf-16", false),
        ] {
            let found = may_be_utf8(&HeaderValue::from_static(value));
            assert_eq!(found, expected, "{value}");
        }
        let latin = HeaderValue::from_bytes(b"application/json; charset=\xe9").unwrap();
        assert!(!may_be_utf8(&latin));
    }

    #[test]
    fn anything_else_is_refused() {
        let json = (CONTENT_TYPE, "application/json");
        let cases: &[&[(HeaderName, &str)]] = &[
            &[],
            &[(CONTENT_TYPE, "")],
            &[(CONTENT_TYPE, "text/plain")],
            &[(CONTENT_TYPE, "application/jsonp")],
            &[(CONTENT_TYPE, "application/x+json")],
            &[(CONTENT_TYPE, "application/json-rpc")],
            &[(CONTENT_TYPE, "application/json, text/plain")],
            &[(CONTENT_TYPE, "application/json; charset=utf-16")],
            &[(CONTENT_TYPE, "application/json; charset=utf-7")],
            &[(CONTENT_TYPE, "application/json; boundary=x")],
            &[(CONTENT_TYPE, "multipart/form-data; boundary=x")],
            &[(CONTENT_TYPE, "application/x-www-form-urlencoded")],
            &[(CONTENT_TYPE, "application/json\u{e9}")],
            &[json.clone(), json.clone()],
            &[json.clone(), (CONTENT_ENCODING, "gzip")],
            &[json.clone(), (CONTENT_ENCODING, "identity, gzip")],
            &[
                json.clone(),
                (CONTENT_ENCODING, "identity"),
                (CONTENT_ENCODING, "identity"),
            ],
            &[json.clone(), (CONTENT_ENCODING, "")],
        ];
        for headers in cases {
            assert!(!is_accepted(headers), "{headers:?}");
        }
    }
}
