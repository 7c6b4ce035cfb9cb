//! Why the head of a request is refused: framing, target, media type.

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderName,
    TRANSFER_ENCODING,
};
use http::{HeaderValue, Version};

use crate::http::authority::{Authority, Scheme};
use crate::http::framing::{CONNECTION_FIELDS, RequestLine, removed_field};
use crate::http::query;
use crate::refusal::found::{Found, Word};

/// What is wrong with the framing of a request; `authority` is `:authority` of HTTP/2.
pub fn framing(
    request: &RequestLine<'_>,
    authority: Option<&str>,
    scheme: Scheme,
) -> Option<String> {
    let headers = request.headers;
    let version = match request.version {
        Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2 => None,
        other => Some(format!(
            "HTTP version {other:?}; accepted: HTTP/1.0, HTTP/1.1, HTTP/2"
        )),
    };
    let http2 = || {
        let mut fields = CONNECTION_FIELDS.iter().filter(|_| request.http2);
        let field = fields.find(|name| headers.contains_key(**name))?;
        Some(format!(
            "the header {field} does not exist in HTTP/2 (RFC 9113 §8.2.2)"
        ))
    };
    version
        .or_else(http2)
        .or_else(|| host_count(request))
        .or_else(|| transfer_encoding(request))
        .or_else(|| content_length(headers))
        .or_else(|| host_text(headers, authority, scheme))
        .or_else(|| expectation(headers))
}

/// The connection option that is refused.
pub fn connection_option(headers: &HeaderMap) -> Option<String> {
    let option = removed_field(headers)?;
    Some(format!(
        "the Connection header names {}, which the gateway reads or forwards",
        Found(&option)
    ))
}

/// What is wrong with a request target; `authority` is the host of the request.
pub fn target(raw: &str, authority: Option<&str>) -> String {
    let character = raw
        .chars()
        .find(|one| !one.is_ascii_graphic() || *one == '#');
    match character {
        Some('#') => return "the target has a fragment (#)".to_owned(),
        Some(other) => {
            return format!("the target has the character {}", Found(&other.to_string()));
        }
        None => {}
    }
    let end = raw.find('?').unwrap_or(raw.len());
    let path = raw.get(..end).unwrap_or_default();
    if !path.starts_with('/') {
        let host = authority.unwrap_or_default();
        return format!(
            "the target is neither a path nor a URL of the host {}",
            Found(host)
        );
    }
    let segment = |dots: &str| path.split('/').any(|one| one == dots);
    let escape = path
        .match_indices('%')
        .find_map(|(at, _)| bad_escape(path, at));
    if path.contains("//") {
        "the path has an empty segment (//)".to_owned()
    } else if segment(".") || segment("..") {
        "the path has a dot segment".to_owned()
    } else if let Some(escape) = escape {
        format!(
            "the path has the escape {}, which readers could decode differently",
            Found(escape)
        )
    } else if let Some(other) = path.chars().find(|one| r#";\"<>[]^`{|}"#.contains(*one)) {
        format!("the path has the character {}", Found(&other.to_string()))
    } else {
        "the escapes of the path are not UTF-8".to_owned()
    }
}

/// The escape at this position, if it is not one that is needed.
fn bad_escape(path: &str, at: usize) -> Option<&str> {
    let escape = path.get(at..at + 3).unwrap_or("%");
    let digits = escape.get(1..).filter(|digits| digits.len() == 2);
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let is_needed = |byte: u8| {
        !byte.is_ascii()
            || !(byte.is_ascii_alphanumeric()
                || byte.is_ascii_control()
                || b"-._~/\\;%".contains(&byte))
    };
    (!byte.is_some_and(is_needed)).then_some(escape)
}

/// The parameter that both the operator's query and the client's have.
pub fn repeated_parameter(own: Option<&str>, client: Option<&str>) -> Option<String> {
    let name = query::repeated(own?, client?)?;
    let name = String::from_utf8_lossy(&name).into_owned();
    Some(format!(
        "parameter {} is also in the query of resources.upstream",
        Found(&name)
    ))
}

/// A method, with those that are accepted.
pub fn method(found: &str, accepted: &str) -> String {
    format!("method {}; accepted: {accepted}", Word(found))
}

/// What is wrong with the type or the encoding of a body.
pub fn media_type(headers: &HeaderMap) -> String {
    let encoding = headers.get_all(CONTENT_ENCODING);
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if encoding.iter().count() > 1 || !encoding.iter().all(is_plain) {
        return format!("{}; accepted: none", fields(headers, &CONTENT_ENCODING));
    }
    format!(
        "{}; accepted: application/json, without a charset other than utf-8",
        content_type(headers)
    )
}

/// The type of a body. Any other text in its place may be a secret.
fn content_type(headers: &HeaderMap) -> String {
    let sent = headers.get(CONTENT_TYPE).map(text);
    let is_sole = headers.get_all(CONTENT_TYPE).iter().count() == 1;
    match sent.filter(|sent| is_sole && sent.contains('/')) {
        Some(sent) => format!("{CONTENT_TYPE}: {}", Found(&sent)),
        None => fields(headers, &CONTENT_TYPE),
    }
}

/// A header with its value, or how often it was sent. A long value may be a secret: only its first characters are shown.
pub fn fields(headers: &HeaderMap, name: &HeaderName) -> String {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.count()) {
        (None, _) => format!("no {name} header"),
        (Some(value), 0) => format!("{name}: {}", Word(&text(value))),
        (Some(_), more) => format!("{} {name} headers", more + 1),
    }
}

/// The text of a header value.
pub fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn host_count(request: &RequestLine<'_>) -> Option<String> {
    match request.headers.get_all(HOST).iter().count() {
        0 if !request.http2 => Some("no Host header".to_owned()),
        0 | 1 => None,
        many => Some(format!("{many} Host headers")),
    }
}

fn transfer_encoding(request: &RequestLine<'_>) -> Option<String> {
    let headers = request.headers;
    let sent = headers.get(TRANSFER_ENCODING)?;
    let is_chunked = sent == "chunked" && headers.get_all(TRANSFER_ENCODING).iter().count() == 1;
    if !is_chunked {
        let sent = fields(headers, &TRANSFER_ENCODING);
        return Some(format!("{sent}; accepted: chunked"));
    }
    if request.version != Version::HTTP_11 {
        return Some("Transfer-Encoding, which only HTTP/1.1 has".to_owned());
    }
    headers
        .contains_key(CONTENT_LENGTH)
        .then(|| "Transfer-Encoding and Content-Length together".to_owned())
}

fn content_length(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(CONTENT_LENGTH)?;
    let is_sole = headers.get_all(CONTENT_LENGTH).iter().count() == 1;
    let digits = sent
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let is_number = digits.is_some_and(|digits| digits.parse::<u64>().is_ok());
    (!(is_sole && is_number)).then(|| {
        let sent = fields(headers, &CONTENT_LENGTH);
        format!("{sent}; accepted: one decimal number")
    })
}

fn host_text(headers: &HeaderMap, pseudo: Option<&str>, scheme: Scheme) -> Option<String> {
    let host = headers.get(HOST).map(text);
    let parse = |named: &str| Authority::parse(named).map(|own| own.for_scheme(scheme));
    let wrong = |name: &str, named: Option<&str>| {
        let error = parse(named?).err()?;
        Some(format!("{name} {}: {error}", Found(named?)))
    };
    let wrong = wrong("Host", host.as_deref()).or_else(|| wrong(":authority", pseudo));
    if wrong.is_some() {
        return wrong;
    }
    match (&host, pseudo) {
        (Some(host), Some(pseudo)) if parse(host).ok() != parse(pseudo).ok() => Some(format!(
            "Host {} differs from :authority {}",
            Found(host),
            Found(pseudo)
        )),
        (None, None) => Some("neither :authority nor Host".to_owned()),
        _ => None,
    }
}

fn expectation(headers: &HeaderMap) -> Option<String> {
    let sent = headers.get(EXPECT)?;
    let is_sole = headers.get_all(EXPECT).iter().count() == 1;
    let is_known = is_sole && sent.as_bytes().eq_ignore_ascii_case(b"100-continue");
    (!is_known).then(|| format!("{}; accepted: 100-continue", fields(headers, &EXPECT)))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http::{authority, framing as checks, media_type as media_types, path};

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn map(lines: Lines<'_>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        map
    }

    const HOST: (&str, &str) = ("host", "mcp.example.com");

    /// What is found in a head that is refused for its framing.
    fn refused(version: Version, lines: Lines<'_>, pseudo: Option<&str>) -> String {
        let headers = map(lines);
        let line = RequestLine {
            method: &Method::POST,
            version,
            raw_target: "/mcp",
            headers: &headers,
            http2: version == Version::HTTP_2,
        };
        let checked = checks::framing(&line);
        let named = authority::requested(&headers, pseudo, Scheme::Https);
        assert!(checked.is_err() || named.is_err(), "{lines:?}");
        framing(&line, pseudo, Scheme::Https).unwrap()
    }

    #[test]
    fn each_fault_of_the_framing_has_its_text() {
        let v1 = Version::HTTP_11;
        let cases: &[(Version, Lines<'_>, &str)] = &[
            (Version::HTTP_09, &[HOST], "HTTP version HTTP/0.9"),
            (v1, &[], "no Host header"),
            (v1, &[HOST, HOST], "2 Host headers"),
            (v1, &[("host", "a b")], "Host `a b`: the host must be"),
            (v1, &[("host", "a:0")], "Host `a:0`: the port must be"),
            (
                v1,
                &[HOST, ("transfer-encoding", "gzip")],
                "transfer-encoding: `gzip`; accepted: chunked",
            ),
            (
                v1,
                &[
                    HOST,
                    ("transfer-encoding", "chunked"),
                    ("content-length", "5"),
                ],
                "together",
            ),
            (
                Version::HTTP_10,
                &[HOST, ("transfer-encoding", "chunked")],
                "only HTTP/1.1",
            ),
            (
                v1,
                &[HOST, ("content-length", "+5")],
                "content-length: `+5`; accepted",
            ),
            (
                v1,
                &[HOST, ("content-length", "5"), ("content-length", "5")],
                "2 content-length headers",
            ),
            (
                v1,
                &[HOST, ("expect", "opaque-canary-0a1b2c3d4e5f60718293a4b5")],
                "expect: `opaque-c`...; accepted: 100-continue",
            ),
            (
                v1,
                &[HOST, ("expect", "200-ok")],
                "expect: `200-ok`; accepted: 100-continue",
            ),
            (
                Version::HTTP_2,
                &[("keep-alive", "1")],
                "the header keep-alive does not exist",
            ),
        ];
        for (version, lines, text) in cases {
            let pseudo = (*version == Version::HTTP_2).then_some("mcp.example.com");
            let found = refused(*version, lines, pseudo);
            assert!(found.contains(text), "{lines:?}: {found}");
        }
        let both = refused(Version::HTTP_2, &[HOST], Some("other.example.com"));
        assert!(
            both.contains("differs from :authority `other.example.com`"),
            "{both}"
        );
        let neither = refused(Version::HTTP_2, &[], None);
        assert_eq!(neither, "neither :authority nor Host");
    }

    #[test]
    fn each_fault_of_a_target_has_its_text() {
        for (raw, text) in [
            ("/mcp#a", "fragment"),
            ("/m cp", "the character ` `"),
            ("/mcp\u{1b}", "the character `\\u{1b}`"),
            (
                "*",
                "neither a path nor a URL of the host `mcp.example.com`",
            ),
            ("http://other.example.com/mcp", "neither a path"),
            ("/a//b", "empty segment"),
            ("/a/../b", "dot segment"),
            ("/a%2fb", "the escape `%2f`"),
            ("/a%2Eb", "the escape `%2E`"),
            ("/a%zz", "the escape `%zz`"),
            ("/a%", "the escape `%`"),
            ("/mcp;x", "the character `;`"),
            ("/a{b}", "the character `{`"),
            ("/%c3", "not UTF-8"),
            ("/\u{fc}", "the character `\u{fc}`"),
        ] {
            let host = Some("mcp.example.com");
            assert!(path::target(raw, host).is_err(), "{raw}");
            let found = target(raw, host);
            assert!(found.contains(text), "{raw}: {found}");
        }
    }

    #[test]
    fn a_refused_media_type_is_shown_with_the_accepted_one() {
        let json = ("content-type", "application/json");
        for (lines, text) in [
            (
                &[] as &[_],
                "no content-type header; accepted: application/json",
            ),
            (
                &[("content-type", "text/plain")],
                "content-type: `text/plain`; accepted",
            ),
            (&[json, json], "2 content-type headers"),
            (
                &[json, ("content-encoding", "gzip")],
                "content-encoding: `gzip`; accepted: none",
            ),
        ] {
            let headers = map(lines);
            assert!(media_types::json_body(&headers).is_err(), "{lines:?}");
            let found = media_type(&headers);
            assert!(found.contains(text), "{lines:?}: {found}");
        }
    }

    #[test]
    fn other_values_are_named() {
        let option = connection_option(&map(&[("connection", "close, MCP-Name")]));
        assert!(option.unwrap().contains("names `mcp-name`"));
        let parameter = repeated_parameter(Some("a=1&tenant=1"), Some("x&Tenant=2"));
        assert!(parameter.unwrap().contains("parameter `tenant` is also"));
        assert_eq!(repeated_parameter(Some("a=1"), Some("b=2")), None);
        assert_eq!(method("PUT", "POST"), "method `PUT`; accepted: POST");
    }
}
