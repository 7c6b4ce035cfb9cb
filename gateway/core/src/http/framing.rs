//! Checks that a request is exactly one request (RFC 9112 §6, RFC 9110 §8.6, RFC 9113 §8.2).
//!
//! The gateway frames every request to the upstream itself, but it must not guess. A request that two readers could split
//! differently is refused, even if the HTTP framework accepts it.
//!
//! An offer to change the protocol (`Upgrade` of HTTP/1.1) is not ambiguous: it is ignored (RFC 9110 §7.8), and nothing of it is
//! forwarded.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING,
};
use http::{Method, Version};

use super::answer::{chunked::Chunked, framing::Framing};
use super::forwarding;
use super::path::{self, RequestTarget};
use crate::refusal::reason::Reason;

/// What some clients send in place of `Connection`.
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The head of a request, as it was received.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// The method.
    pub method: &'a Method,
    /// The version of HTTP.
    pub version: Version,
    /// The request target, not normalised.
    pub raw_target: &'a str,
    /// All header fields.
    pub headers: &'a HeaderMap,
    /// Whether it was received over HTTP/2.
    pub http2: bool,
}

impl<'a> RequestLine<'a> {
    /// Path and query of the target; see [`path::target`].
    ///
    /// # Errors
    /// [`Reason::AmbiguousPath`].
    pub fn target(&self, authority: Option<&str>) -> Result<RequestTarget<'a>, Reason> {
        path::target(self.raw_target, authority)
    }
}

/// The option of `Connection` that names a field which the gateway reads or forwards. A proxy must remove such a field (RFC 9110
/// §7.6.1), so the MCP server would receive another message than the one that was judged.
pub fn removed_field(headers: &HeaderMap) -> Option<String> {
    removed_field_where(headers, forwarding::is_used)
}

/// The same for the fields that a resource passes on.
pub fn removed_field_among(headers: &HeaderMap, passed: &[HeaderName]) -> Option<String> {
    removed_field_where(headers, |option| passed.iter().any(|name| name == option))
}

fn removed_field_where(headers: &HeaderMap, is_used: impl Fn(&str) -> bool) -> Option<String> {
    // One walk over the fields is less than two look-ups.
    let lines = headers
        .iter()
        .filter(|(name, _)| *name == CONNECTION || *name == PROXY_CONNECTION);
    let options = lines.flat_map(|(_, line)| line.as_bytes().split(|byte| *byte == b','));
    options
        .map(<[u8]>::trim_ascii)
        .filter(|option| !forwarding::is_common_option(option))
        .map(|option| String::from_utf8_lossy(option).to_ascii_lowercase())
        .find(|option| is_used(option))
}

/// Checks framing first, then the method.
///
/// # Errors
/// [`Reason::BadFraming`], [`Reason::ConnectionOption`], [`Reason::MethodNotAllowed`].
pub fn framing(request: &RequestLine<'_>) -> Result<(), Reason> {
    let headers = request.headers;
    let sound = is_http(request)
        && (if request.http2 {
            http2_fields(headers)
        } else {
            http1_fields(request)
        })
        && expectation(headers);
    if !sound {
        return Err(Reason::BadFraming);
    }
    if removed_field(headers).is_some() {
        return Err(Reason::ConnectionOption);
    }
    if !ALLOWED.contains(request.method) {
        return Err(Reason::MethodNotAllowed);
    }
    Ok(())
}

/// Checks the size of the header block, counted as HTTP/1.1 writes it.
///
/// # Errors
/// [`Reason::HeadersTooLarge`] for more than `max_bytes` bytes or `max_fields` fields.
pub fn header_limits(
    headers: &HeaderMap,
    max_bytes: usize,
    max_fields: usize,
) -> Result<(), Reason> {
    let (bytes, fields) = header_size(headers);
    if bytes > max_bytes || fields > max_fields {
        return Err(Reason::HeadersTooLarge);
    }
    Ok(())
}

/// The bytes of a header block, and its fields.
#[inline]
pub fn header_size(headers: &HeaderMap) -> (usize, usize) {
    // A colon, a space, a line end.
    let field =
        |(name, value): (&HeaderName, &http::HeaderValue)| name.as_str().len() + value.len() + 4;
    (headers.iter().map(field).sum(), headers.len())
}

/// The methods that MCP transports, their metadata, browsers and the authorization server use. Each destination has some of them.
const ALLOWED: &[Method] = &[
    Method::POST,
    Method::GET,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::HEAD,
];

/// Fields that belong to one connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
pub(crate) const CONNECTION_FIELDS: &[&str] = &[
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
];

fn is_http(request: &RequestLine<'_>) -> bool {
    match request.version {
        Version::HTTP_10 | Version::HTTP_11 => !request.http2,
        Version::HTTP_2 => request.http2,
        _ => false,
    }
}

/// HTTP/2 names the host in `:authority`. One `Host` field is allowed in addition.
fn http2_fields(headers: &HeaderMap) -> bool {
    !CONNECTION_FIELDS
        .iter()
        .any(|name| headers.contains_key(*name))
        && headers.get_all(HOST).iter().count() <= 1
        && content_length(headers)
}

/// One `Host` (RFC 9112 §3.2), and a body whose end is certain.
fn http1_fields(request: &RequestLine<'_>) -> bool {
    let headers = request.headers;
    body(request.version, headers).is_some() && matches!(sole(headers, &HOST), Fields::One(_))
}

/// Where the body of a request over HTTP/1.1 ends; none where that is uncertain. At most one of `Content-Length` and
/// `Transfer-Encoding` is accepted, the latter only in HTTP/1.1.
pub(crate) fn body(version: Version, headers: &HeaderMap) -> Option<Framing> {
    let length = match sole(headers, &CONTENT_LENGTH) {
        Fields::None => None,
        Fields::One(value) => Some(number(value)?),
        Fields::Many => return None,
    };
    match (sole(headers, &TRANSFER_ENCODING), length) {
        (Fields::None, length) => Some(Framing::Length(length.unwrap_or(0))),
        (Fields::One(b"chunked"), None) if version == Version::HTTP_11 => {
            Some(Framing::Chunked(Chunked::new()))
        }
        _ => None,
    }
}

/// Absent, or present once as a number.
fn content_length(headers: &HeaderMap) -> bool {
    match sole(headers, &CONTENT_LENGTH) {
        Fields::None => true,
        Fields::One(value) => number(value).is_some(),
        Fields::Many => false,
    }
}

/// Digits only, within 64 bits: `parse` alone would accept a sign.
fn number(value: &[u8]) -> Option<u64> {
    let is_digits = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| is_digits)?
        .parse()
        .ok()
}

/// Absent, or the only expectation that HTTP defines (RFC 9110 §10.1.1).
fn expectation(headers: &HeaderMap) -> bool {
    match sole(headers, &EXPECT) {
        Fields::None => true,
        Fields::One(value) => value.eq_ignore_ascii_case(b"100-continue"),
        Fields::Many => false,
    }
}

enum Fields<'a> {
    None,
    One(&'a [u8]),
    Many,
}

fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Fields<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Fields::None,
        (Some(value), None) => Fields::One(value.as_bytes()),
        _ => Fields::Many,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn map(headers: Headers<'_>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        map
    }

    fn checked(version: Version, method: &str, headers: Headers<'_>) -> Result<(), Reason> {
        framing(&RequestLine {
            method: &Method::from_bytes(method.as_bytes()).unwrap(),
            version,
            raw_target: "/mcp",
            headers: &map(headers),
            http2: version == Version::HTTP_2,
        })
    }

    const HOST: (&str, &str) = ("host", "mcp.example.com");

    #[test]
    fn a_connection_option_cannot_name_a_field_that_is_passed_on() {
        let passed = [HeaderName::from_static("x-tenant-id")];
        for (headers, expected) in [
            (
                &[("connection", "close, X-Tenant-Id")][..],
                Some("x-tenant-id"),
            ),
            (&[("proxy-connection", "x-tenant-id")], Some("x-tenant-id")),
            (&[("connection", "x-tenant"), ("x-tenant-id", "a")], None),
            (&[("x-tenant-id", "a")], None),
        ] {
            let found = removed_field_among(&map(headers), &passed);
            assert_eq!(found.as_deref(), expected, "{headers:?}");
            assert_eq!(removed_field_among(&map(headers), &[]), None);
        }
    }

    #[test]
    fn an_unambiguous_request_is_accepted() {
        let cases: &[(Version, &str, Headers<'_>)] = &[
            (Version::HTTP_11, "GET", &[HOST]),
            (Version::HTTP_11, "POST", &[HOST, ("content-length", "0")]),
            (
                Version::HTTP_11,
                "POST",
                &[HOST, ("content-length", "18446744073709551615")],
            ),
            (
                Version::HTTP_11,
                "POST",
                &[HOST, ("transfer-encoding", "chunked")],
            ),
            (
                Version::HTTP_11,
                "POST",
                &[HOST, ("content-length", "5"), ("expect", "100-Continue")],
            ),
            (
                Version::HTTP_11,
                "DELETE",
                &[HOST, ("connection", "keep-alive")],
            ),
            (Version::HTTP_10, "POST", &[HOST, ("content-length", "5")]),
            (
                Version::HTTP_11,
                "POST",
                &[
                    HOST,
                    ("connection", "Upgrade, HTTP2-Settings"),
                    ("upgrade", "h2c"),
                    ("http2-settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
                    ("content-length", "5"),
                ],
            ),
            (
                Version::HTTP_11,
                "GET",
                &[
                    HOST,
                    ("connection", "keep-alive"),
                    ("connection", ",uPGRADE , ,"),
                    ("upgrade", "websocket"),
                    ("upgrade", ", h2c,, TLS/1.2 ,"),
                ],
            ),
            (Version::HTTP_11, "DELETE", &[HOST, ("upgrade", "")]),
            (Version::HTTP_10, "GET", &[HOST, ("upgrade", "h2c")]),
            (Version::HTTP_2, "OPTIONS", &[]),
            (Version::HTTP_2, "HEAD", &[HOST]),
            (Version::HTTP_11, "PUT", &[HOST, ("content-length", "5")]),
            (Version::HTTP_2, "PUT", &[("content-length", "5")]),
            (
                Version::HTTP_2,
                "POST",
                &[("content-length", "5"), ("te", "trailers")],
            ),
        ];
        for (version, method, headers) in cases {
            assert_eq!(
                checked(*version, method, headers),
                Ok(()),
                "{version:?} {method} {headers:?}"
            );
        }
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        let cases: &[(&str, Headers<'_>)] = &[
            ("no host", &[]),
            ("two hosts", &[HOST, ("host", "other.example.com")]),
            ("the same host twice", &[HOST, HOST]),
            (
                "length and encoding",
                &[
                    HOST,
                    ("content-length", "5"),
                    ("transfer-encoding", "chunked"),
                ],
            ),
            (
                "encoding twice",
                &[
                    HOST,
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "chunked"),
                ],
            ),
            (
                "encoding and another",
                &[
                    HOST,
                    ("transfer-encoding", "chunked"),
                    ("transfer-encoding", "identity"),
                ],
            ),
            (
                "list of encodings",
                &[HOST, ("transfer-encoding", "identity, chunked")],
            ),
            (
                "list after chunked",
                &[HOST, ("transfer-encoding", "chunked, identity")],
            ),
            (
                "chunked twice in one",
                &[HOST, ("transfer-encoding", "chunked, chunked")],
            ),
            ("xchunked", &[HOST, ("transfer-encoding", "xchunked")]),
            ("identity", &[HOST, ("transfer-encoding", "identity")]),
            ("gzip", &[HOST, ("transfer-encoding", "gzip")]),
            ("other case", &[HOST, ("transfer-encoding", "Chunked")]),
            ("tab", &[HOST, ("transfer-encoding", "\tchunked")]),
            ("parameter", &[HOST, ("transfer-encoding", "chunked;q=1")]),
            ("empty encoding", &[HOST, ("transfer-encoding", "")]),
            ("length with sign", &[HOST, ("content-length", "+5")]),
            ("negative length", &[HOST, ("content-length", "-5")]),
            ("length list", &[HOST, ("content-length", "5, 5")]),
            (
                "length twice",
                &[HOST, ("content-length", "5"), ("content-length", "5")],
            ),
            (
                "length of 2^64",
                &[HOST, ("content-length", "18446744073709551616")],
            ),
            ("length in hexadecimal", &[HOST, ("content-length", "0x5")]),
            ("length with space", &[HOST, ("content-length", "5 ")]),
            ("empty length", &[HOST, ("content-length", "")]),
            (
                "an upgrade with two framings",
                &[
                    HOST,
                    ("connection", "upgrade"),
                    ("upgrade", "websocket"),
                    ("content-length", "5"),
                    ("transfer-encoding", "chunked"),
                ],
            ),
            ("another expectation", &[HOST, ("expect", "200-ok")]),
            (
                "two expectations",
                &[HOST, ("expect", "100-continue"), ("expect", "100-continue")],
            ),
        ];
        for (name, headers) in cases {
            assert_eq!(
                checked(Version::HTTP_11, "POST", headers),
                Err(Reason::BadFraming),
                "{name}"
            );
        }
    }

    #[test]
    fn a_connection_option_must_not_name_a_field_that_is_used() {
        let refused: &[Headers<'_>] = &[
            &[("connection", "mcp-protocol-version")],
            &[("connection", "close, MCP-Name")],
            &[
                ("connection", "keep-alive"),
                ("connection", "\tcontent-type ,"),
            ],
            &[("connection", ",,mcp-param-x")],
            &[("proxy-connection", "authorization")],
            &[("connection", "Host")],
            &[("connection", "content-length")],
            &[("connection", "transfer-encoding")],
            &[("connection", "x-forwarded-for")],
            &[("connection", "traceparent")],
        ];
        for headers in refused {
            let headers = [&[HOST], *headers].concat();
            assert_eq!(
                checked(Version::HTTP_11, "POST", &headers),
                Err(Reason::ConnectionOption),
                "{headers:?}"
            );
        }
        let served: &[Headers<'_>] = &[
            &[("connection", "close")],
            &[("connection", "Keep-Alive, TE"), ("te", "trailers")],
            &[("connection", "x-own"), ("x-own", "1")],
            &[("connection", ", ,")],
            &[("proxy-connection", "keep-alive")],
            &[("connection", "http2-settings")],
        ];
        for headers in served {
            let headers = [&[HOST], *headers].concat();
            let outcome = checked(Version::HTTP_11, "POST", &headers);
            assert_eq!(outcome, Ok(()), "{headers:?}");
        }
    }

    #[test]
    fn each_http_version_has_its_own_rules() {
        let cases: &[(Version, Headers<'_>)] = &[
            (Version::HTTP_09, &[HOST]),
            (Version::HTTP_3, &[HOST]),
            (Version::HTTP_10, &[]),
            (Version::HTTP_10, &[HOST, ("transfer-encoding", "chunked")]),
            (Version::HTTP_2, &[("transfer-encoding", "chunked")]),
            (Version::HTTP_2, &[("connection", "close")]),
            (Version::HTTP_2, &[("keep-alive", "1")]),
            (Version::HTTP_2, &[("proxy-connection", "close")]),
            (Version::HTTP_2, &[("upgrade", "h2c")]),
            (Version::HTTP_2, &[HOST, HOST]),
            (
                Version::HTTP_2,
                &[("content-length", "5"), ("content-length", "5")],
            ),
        ];
        for (version, headers) in cases {
            assert_eq!(
                checked(*version, "POST", headers),
                Err(Reason::BadFraming),
                "{version:?} {headers:?}"
            );
        }
    }

    #[test]
    fn another_method_is_refused() {
        for method in [
            "TRACE", "CONNECT", "PATCH", "PRI", "PROPFIND", "INVENTED", "post", "Get",
        ] {
            assert_eq!(
                checked(Version::HTTP_11, method, &[HOST]),
                Err(Reason::MethodNotAllowed),
                "{method}"
            );
        }
    }

    #[test]
    fn a_header_block_beyond_a_limit_is_refused() {
        let headers = map(&[("a", "1"), ("bb", "333"), ("a", "3")]);
        let bytes = 6 + 9 + 6;
        assert_eq!(header_limits(&headers, bytes, 3), Ok(()));
        assert_eq!(
            header_limits(&headers, bytes - 1, 3),
            Err(Reason::HeadersTooLarge)
        );
        assert_eq!(
            header_limits(&headers, bytes, 2),
            Err(Reason::HeadersTooLarge)
        );
    }
}
