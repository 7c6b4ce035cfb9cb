//! The headers that are forwarded, in each direction: only those on an allow-list.
//!
//! So credentials, cookies, forged identity headers in any spelling (CVE-2024-45806, CVE-2025-64484) and fields of one connection
//! are never forwarded. The caller adds the gateway's headers afterwards (identity, session, `Last-Event-ID`, `Host`, CORS).

pub mod copies;
pub mod identity;

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue,
};

use super::media_type::is_media_type;
use crate::mcp::headers::{PARAM_PREFIX, PROTOCOL_VERSION, SESSION_ID};
use crate::mcp::version::Era;
use crate::refusal::reason::Reason;

/// Fields of a request that the gateway reads itself, in addition to those that it forwards.
const READ: &[&str] = &[
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "client-cert",
    "content-encoding",
    "content-length",
    "dpop",
    "expect",
    "forwarded",
    "host",
    "last-event-id",
    "origin",
    "transfer-encoding",
    "x-forwarded-for",
];

/// Asks nginx and proxies like it to send on at once what they receive.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The event after which a client resumes a stream.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Prefix of all fields of MCP.
const MCP_PREFIX: &str = "mcp-";

/// Whether the gateway reads or forwards a client's header with this name, in lower case.
pub fn is_used(name: &str) -> bool {
    name.starts_with(MCP_PREFIX) || is_allowed_upstream(name, Era::Modern) || READ.contains(&name)
}

/// The header with a proof of possession (RFC 9449 §4.1). It is for the gateway alone.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

/// What is asked of the upstream: no content coding, because many answers must be read.
const UNCODED: HeaderValue = HeaderValue::from_static("identity");

/// The client's headers that are forwarded to the upstream, and the content coding that the gateway asks for.
///
/// In the legacy era the headers that mirror the body have no meaning and are left out.
pub fn to_upstream(client: &HeaderMap, era: Era) -> HeaderMap {
    let mut passed = passed(client, |name| is_allowed_upstream(name, era));
    passed.insert(ACCEPT_ENCODING, UNCODED);
    passed
}

/// The value of a client's header that a resource passes on by its name. Equal copies are one.
///
/// # Errors
/// [`Reason::HeaderRepeated`]: which of several values a server uses cannot be known.
pub fn sole_value<'a>(
    client: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Reason> {
    let mut values = client.get_all(name).iter();
    let first = values.next();
    match values.all(|other| Some(other) == first) {
        true => Ok(first),
        false => Err(Reason::HeaderRepeated),
    }
}

/// Removes what `Connection` of an answer names for this hop (RFC 9110 §7.6.1), before anything of the answer is read. A
/// request that names a field which is used is refused instead ([`framing`](super::framing)).
pub fn remove_fields_of_the_hop(upstream: &mut HeaderMap) {
    for name in named_by_connection(upstream) {
        upstream.remove(name);
    }
}

/// Whether this is an option of `Connection` that almost every message has; it names no field.
pub(crate) fn is_common_option(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"keep-alive") || option.eq_ignore_ascii_case(b"close")
}

/// Whether a client's header with this name, in lower case, is forwarded to the upstream.
pub fn is_allowed_upstream(name: &str, era: Era) -> bool {
    match name {
        "accept"
        | "accept-language"
        | "content-type"
        | "user-agent"
        | "traceparent"
        | "tracestate"
        | "baggage"
        | "mcp-protocol-version" => true,
        "mcp-method" | "mcp-name" => era == Era::Modern,
        name => era == Era::Modern && name.starts_with(PARAM_PREFIX),
    }
}

/// Whether a page of an allowed origin may send a header with this name, in lower case: what is forwarded to the upstream, and
/// what the gateway reads itself in order to forward something else.
pub fn is_allowed_from_pages(name: &str) -> bool {
    name == AUTHORIZATION
        || name == DPOP
        || name == LAST_EVENT_ID
        || name.starts_with(MCP_PREFIX)
        || is_allowed_upstream(name, Era::Modern)
}

/// The upstream's headers that are forwarded to the client.
///
/// An event stream asks proxies not to buffer it: they would keep events until the answer ends.
///
/// Headers with which a cache could store the answer or validate a stored one are not among them. `Content-Length` is not one of
/// them, because the gateway frames the response itself, and `Mcp-Session-Id` is not, because it
/// is sealed. The values of an event stream are copies: slices would keep the read buffer in memory for as long as it is open.
pub fn to_client(upstream: HeaderMap) -> HeaderMap {
    let (is_stream, not_stored) = (is_event_stream(&upstream), not_stored(&upstream));
    let mut passed = upstream;
    // Usually two or three are removed: that costs less than another map.
    while let Some(other) = passed.keys().find(|name| !is_allowed_to_client(name)) {
        let other = other.clone();
        passed.remove(other);
    }
    passed.insert(CACHE_CONTROL, not_stored);
    if is_stream {
        for value in passed.values_mut() {
            if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                *value = copy;
            }
        }
        passed.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    passed
}

fn is_allowed_to_client(name: &HeaderName) -> bool {
    match name.as_str() {
        "content-type" | "content-encoding" | "content-language" | "allow" | "retry-after"
        | "x-accel-buffering" => true,
        name => name.starts_with(MCP_PREFIX) && name != SESSION_ID,
    }
}

/// Whether an answer is an event stream.
pub fn is_event_stream(upstream: &HeaderMap) -> bool {
    let is_stream = |value| is_media_type(value, "text/event-stream");
    upstream.get(CONTENT_TYPE).is_some_and(is_stream)
}

/// Every answer of a resource depends on the caller, so no cache may store it, whatever the upstream says (RFC 9111 §3.5). Of
/// the upstream's directives `no-transform` stays: it keeps proxies from compressing an event stream.
fn not_stored(upstream: &HeaderMap) -> HeaderValue {
    let mut directives = upstream
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_fixed =
        directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"));
    HeaderValue::from_static(match is_fixed {
        true => "no-store, no-transform",
        false => "no-store",
    })
}

fn passed(headers: &HeaderMap, passes: impl Fn(&str) -> bool) -> HeaderMap {
    // Room for two more: the gateway adds headers of its own.
    let mut passed = HeaderMap::with_capacity(headers.len() + 2);
    for (name, value) in headers.iter().filter(|(name, _)| passes(name.as_str())) {
        // A name that HTTP does not define is copied: almost each request has this one.
        let name = match name == PROTOCOL_VERSION {
            true => PROTOCOL_VERSION,
            false => name.clone(),
        };
        passed.append(name, value.clone());
    }
    passed
}

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers
        .get_all(CONNECTION)
        .iter()
        .map(HeaderValue::as_bytes);
    let names = values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !is_common_option(option));
    names
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn only_listed_headers_are_forwarded_to_the_upstream() {
        let listed = [
            ("accept", "application/json, text/event-stream"),
            ("accept-encoding", "gzip"),
            ("accept-language", "de"),
            ("baggage", "a=b"),
            ("content-type", "application/json"),
            ("mcp-method", "tools/call"),
            ("mcp-name", "add"),
            ("mcp-param-a", "1"),
            ("mcp-param-b_c", "2"),
            ("mcp-protocol-version", "2026-07-28"),
            ("traceparent", "00-1-2-01"),
            ("tracestate", "a=b"),
            ("user-agent", "client/1"),
        ];
        let others = [
            ("authorization", "Bearer secret"),
            ("proxy-authorization", "Basic secret"),
            ("client-cert", ":MAA=:"),
            ("client-cert-chain", ":MAA=:"),
            ("cookie", "a=secret"),
            ("x-mcp-subject", "root"),
            ("x_mcp_subject", "root"),
            ("x-auth-subject", "root"),
            ("x-forwarded-user", "root"),
            ("x_forwarded_user", "root"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "a"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=a"),
            ("x-real-ip", "10.0.0.1"),
            ("origin", "https://a"),
            ("referer", "https://a"),
            ("host", "mcp.example.com"),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("trailer", "authorization"),
            ("connection", "close"),
            ("keep-alive", "1"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("mcp-session-id", "sealed"),
            ("mcp_session_id", "raw"),
            ("mcp-other", "1"),
            ("mcp_name", "other"),
            ("last-event-id", "7"),
            ("x-mcp-param-a", "1"),
        ];
        let client = map(&[&listed[..], &others[..]].concat());
        let passed = to_upstream(&client, Era::Modern);
        assert_eq!(names(&passed), listed.map(|(name, _)| name));
        assert_eq!(passed["accept"], "application/json, text/event-stream");
        assert_eq!(passed["accept-encoding"], "identity");
        let legacy = [
            "accept",
            "accept-encoding",
            "accept-language",
            "baggage",
            "content-type",
            "mcp-protocol-version",
            "traceparent",
            "tracestate",
            "user-agent",
        ];
        assert_eq!(names(&to_upstream(&client, Era::Legacy)), legacy);
    }

    #[test]
    fn a_repeated_field_is_forwarded_in_order() {
        let passed = to_upstream(
            &map(&[("accept", "a"), ("tracestate", "b"), ("accept", "c")]),
            Era::Legacy,
        );
        let values: Vec<_> = passed.get_all("accept").iter().collect();
        assert_eq!(values, ["a", "c"]);
    }

    #[test]
    fn a_header_that_is_passed_on_has_one_value() {
        let name = HeaderName::from_static("x-tenant-id");
        let client = |values: &[&'static str]| {
            let headers: Vec<_> = values.iter().map(|value| ("x-tenant-id", *value)).collect();
            map(&headers)
        };
        assert_eq!(sole_value(&client(&[]), &name), Ok(None));
        let one = HeaderValue::from_static("a");
        for copies in [&["a"][..], &["a", "a", "a"]] {
            assert_eq!(sole_value(&client(copies), &name), Ok(Some(&one)));
        }
        for values in [&["a", "b"][..], &["a", "a", "A"], &["a", ""]] {
            assert_eq!(
                sole_value(&client(values), &name),
                Err(Reason::HeaderRepeated)
            );
        }
    }

    #[test]
    fn a_field_that_an_answer_names_by_connection_is_removed_before_it_is_read() {
        let mut upstream = map(&[
            ("connection", "close, Content-Type ,"),
            ("connection", "retry-after"),
            ("content-type", "a"),
            ("retry-after", "b"),
            ("allow", "c"),
        ]);
        remove_fields_of_the_hop(&mut upstream);
        assert_eq!(names(&upstream), ["allow", "connection"]);
    }

    #[test]
    fn no_cache_may_store_an_answer() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "no-store"),
            (&[("cache-control", "public, max-age=60")], "no-store"),
            (&[("cache-control", "s-maxage=60")], "no-store"),
            (
                &[
                    ("cache-control", "public"),
                    ("cache-control", "a, No-Transform"),
                ],
                "no-store, no-transform",
            ),
            (&[("cache-control", "x=no-transform")], "no-store"),
        ];
        for (upstream, expected) in cases {
            let passed = to_client(map(upstream));
            let values: Vec<_> = passed.get_all("cache-control").iter().collect();
            assert_eq!(values, [expected], "{upstream:?}");
        }
    }

    #[test]
    fn every_field_that_is_forwarded_or_read_is_used() {
        for name in [
            "accept",
            "authorization",
            "client-cert",
            "content-length",
            "content-type",
            "host",
            "last-event-id",
            "mcp-method",
            "mcp-param-a",
            "mcp-session-id",
            "origin",
            "traceparent",
            "user-agent",
            "x-forwarded-for",
        ] {
            assert!(is_used(name), "{name}");
        }
        for name in [
            "close",
            "keep-alive",
            "te",
            "upgrade",
            "http2-settings",
            "x-own",
        ] {
            assert!(!is_used(name), "{name}");
        }
    }

    #[test]
    fn only_listed_headers_are_forwarded_to_the_client() {
        let listed = [
            ("allow", "POST"),
            ("cache-control", "no-cache"),
            ("content-encoding", "gzip"),
            ("content-language", "de"),
            ("content-type", "text/event-stream"),
            ("mcp-other", "1"),
            ("mcp-protocol-version", "2025-06-18"),
            ("retry-after", "5"),
            ("x-accel-buffering", "no"),
        ];
        let others = [
            ("etag", "\"a\""),
            ("expires", "tomorrow"),
            ("last-modified", "yesterday"),
            ("pragma", "public"),
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer"),
            ("proxy-authenticate", "Basic"),
            ("server", "upstream/1"),
            ("x-powered-by", "upstream"),
            ("via", "1.1 upstream"),
            ("location", "http://127.0.0.1:9000/mcp/"),
            ("access-control-allow-origin", "*"),
            ("access-control-allow-credentials", "true"),
            ("vary", "accept"),
            ("mcp-session-id", "raw"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("trailer", "a"),
            ("upgrade", "h2c"),
            ("alt-svc", "h3=\":443\""),
            ("x-mcp-subject", "alice"),
        ];
        let passed = to_client(map(&[&listed[..], &others[..]].concat()));
        assert_eq!(names(&passed), listed.map(|(name, _)| name));
    }

    #[test]
    fn an_event_stream_is_not_buffered_by_proxies() {
        for (content_type, own, expected) in [
            ("text/event-stream", None, Some("no")),
            ("Text/Event-Stream;charset=utf-8", Some("yes"), Some("no")),
            ("application/json", None, None),
            ("application/json", Some("yes"), Some("yes")),
            ("text/event-streams", None, None),
        ] {
            let mut upstream = map(&[("content-type", content_type)]);
            if let Some(own) = own {
                upstream.append(X_ACCEL_BUFFERING, HeaderValue::from_static(own));
            }
            let passed = to_client(upstream);
            let values: Vec<_> = passed.get_all(X_ACCEL_BUFFERING).iter().collect();
            let expected = Vec::from_iter(expected);
            assert_eq!(values, expected, "{content_type}");
        }
    }

    #[test]
    fn a_page_may_send_what_is_forwarded_and_no_more() {
        for name in [
            "authorization",
            "content-type",
            "accept",
            "accept-language",
            "user-agent",
            "last-event-id",
            "traceparent",
            "tracestate",
            "baggage",
            "mcp-method",
            "mcp-name",
            "mcp-param-a",
            "mcp-protocol-version",
            "mcp-session-id",
        ] {
            assert!(is_allowed_from_pages(name), "{name}");
        }
        for name in [
            "cookie",
            "x-mcp-subject",
            "x-forwarded-for",
            "origin",
            "*",
            "",
        ] {
            assert!(!is_allowed_from_pages(name), "{name}");
        }
    }
}
