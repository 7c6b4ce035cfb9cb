//! The headers that a browser requires before a page may read a response (WHATWG Fetch, *CORS protocol*).
//!
//! `*` does not cover `Authorization`, so the requested headers are allowed one by one: those that are forwarded, or read
//! ([`forwarding`](super::forwarding) has the one list). `WWW-Authenticate` and `DPoP-Nonce` are exposed
//! because a client in a browser needs them to find the authorization server and to make a proof.

use http::Method;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};

use super::forwarding::is_allowed_from_pages;

/// A header of a response.
pub type Header = (HeaderName, HeaderValue);

/// Whether this is a CORS preflight. It requires no token and is never forwarded.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The headers of the response (204) to a preflight from an allowed origin. `asked` are its headers, `passed_on` the other
/// headers that the resource forwards.
pub fn preflight_headers(
    origin: &HeaderValue,
    asked: &HeaderMap,
    passed_on: &[HeaderName],
) -> Vec<Header> {
    let methods = (
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE"),
    );
    answer_headers(Some(origin))
        .chain([methods])
        .chain(allow_headers(asked, passed_on))
        .collect()
}

/// The CORS headers of every response of a protected path, refusals included. `origin` is the allowed origin, if any.
pub fn answer_headers(origin: Option<&HeaderValue>) -> impl Iterator<Item = Header> + use<> {
    let exposed = HeaderValue::from_static(
        "WWW-Authenticate, DPoP-Nonce, Mcp-Session-Id, MCP-Protocol-Version",
    );
    let readable = origin.map(|origin| {
        [
            (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (ACCESS_CONTROL_EXPOSE_HEADERS, exposed),
        ]
    });
    // `Vary` also without an origin: a cache must not give that response to a page.
    readable
        .into_iter()
        .flatten()
        .chain([(VARY, HeaderValue::from_static("Origin"))])
}

/// The CORS header of a public document: every page may read it.
pub fn public_header() -> Header {
    (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
}

/// The headers of the response (204) to a preflight for a public document. Clients send `MCP-Protocol-Version`, so browsers ask.
pub fn public_preflight_headers(asked: &HeaderMap) -> Vec<Header> {
    endpoint_preflight_headers(&HeaderValue::from_static("GET"), asked)
}

/// The headers of the response (204) to a preflight for an endpoint with these methods that every page may call. It decides by what
/// a page sends, never by cookies.
pub fn endpoint_preflight_headers(methods: &HeaderValue, asked: &HeaderMap) -> Vec<Header> {
    let methods = (ACCESS_CONTROL_ALLOW_METHODS, methods.clone());
    [public_header(), methods]
        .into_iter()
        .chain(allow_headers(asked, &[]))
        .collect()
}

/// Allows those of the requested headers that are used.
fn allow_headers(asked: &HeaderMap, passed_on: &[HeaderName]) -> Option<Header> {
    let lines = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok());
    let allowed: Vec<_> = names
        .filter(|name| is_allowed_from_pages(name.as_str()) || passed_on.contains(name))
        .collect();
    let names: Vec<_> = allowed.iter().map(HeaderName::as_str).collect();
    let value = HeaderValue::from_str(&names.join(", ")).ok()?;
    (!names.is_empty()).then_some((ACCESS_CONTROL_ALLOW_HEADERS, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(headers: impl IntoIterator<Item = Header>) -> Vec<String> {
        headers
            .into_iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect()
    }

    fn asking(lines: &[&str]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|line| HeaderValue::from_str(line).unwrap());
        lines
            .map(|line| (ACCESS_CONTROL_REQUEST_HEADERS, line))
            .fold(HeaderMap::new(), |mut map, (name, line)| {
                map.append(name, line);
                map
            })
    }

    #[test]
    fn a_preflight_has_method_options_an_origin_and_a_requested_method() {
        let mut headers = HeaderMap::new();
        assert!(!is_preflight(&Method::OPTIONS, &headers));
        headers.insert(ORIGIN, HeaderValue::from_static("https://a"));
        assert!(!is_preflight(&Method::OPTIONS, &headers));
        headers.insert(
            ACCESS_CONTROL_REQUEST_METHOD,
            HeaderValue::from_static("POST"),
        );
        assert!(is_preflight(&Method::OPTIONS, &headers));
        assert!(!is_preflight(&Method::POST, &headers));
    }

    #[test]
    fn a_response_allows_the_origin_of_its_request() {
        let origin = HeaderValue::from_static("https://a.example");
        let expected = [
            "access-control-allow-origin: https://a.example",
            "access-control-expose-headers: WWW-Authenticate, DPoP-Nonce, Mcp-Session-Id, MCP-Protocol-Version",
            "vary: Origin",
        ];
        assert_eq!(lines(answer_headers(Some(&origin))), expected);
        assert_eq!(lines(answer_headers(None)), ["vary: Origin"]);
    }

    #[test]
    fn a_preflight_allows_only_headers_that_mcp_clients_send() {
        let origin = HeaderValue::from_static("https://a.example");
        let cases = [
            (
                "authorization,dpop,content-type",
                Some("authorization, dpop, content-type"),
            ),
            (
                "Authorization , MCP-Protocol-Version,mcp-session-id, accept,last-event-id",
                Some("authorization, mcp-protocol-version, mcp-session-id, accept, last-event-id"),
            ),
            ("mcp-param-a_b", Some("mcp-param-a_b")),
            (
                "traceparent,tracestate,baggage,user-agent",
                Some("traceparent, tracestate, baggage, user-agent"),
            ),
            ("x-tenant-id, X-Other", Some("x-tenant-id")),
            (
                "authorization, x-mcp-subject, cookie, *",
                Some("authorization"),
            ),
            ("x-mcp-subject", None),
            ("mcp-a b, mcp-a\"", None),
            ("", None),
            (",,", None),
        ];
        for (requested, granted) in cases {
            let passed_on = [HeaderName::from_static("x-tenant-id")];
            let headers = lines(preflight_headers(
                &origin,
                &asking(&[requested]),
                &passed_on,
            ));
            assert!(headers.contains(&"access-control-allow-origin: https://a.example".to_owned()));
            assert!(
                headers.contains(&"access-control-allow-methods: GET, POST, DELETE".to_owned())
            );
            assert!(headers.contains(&"vary: Origin".to_owned()));
            let allowed = headers
                .iter()
                .find_map(|line| line.strip_prefix("access-control-allow-headers: "));
            assert_eq!(allowed, granted, "{requested}");
        }
        assert_eq!(preflight_headers(&origin, &HeaderMap::new(), &[]).len(), 4);
        let lines = lines(preflight_headers(
            &origin,
            &asking(&["accept", "baggage"]),
            &[],
        ));
        let both = "access-control-allow-headers: accept, baggage".to_owned();
        assert!(lines.contains(&both), "{lines:?}");
    }

    #[test]
    fn every_page_may_read_a_public_document() {
        assert_eq!(lines([public_header()]), ["access-control-allow-origin: *"]);
        let requested = asking(&["mcp-protocol-version"]);
        let expected = [
            "access-control-allow-origin: *",
            "access-control-allow-methods: GET",
            "access-control-allow-headers: mcp-protocol-version",
        ];
        assert_eq!(lines(public_preflight_headers(&requested)), expected);
    }
}
