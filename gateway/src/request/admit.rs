//! Phase 1: is this one request, for a host that is served here? Ambiguity is refused, not normalised.

use bytes::Bytes;
use http::{header, uri};
use mcp_gateway_core::{
    http::{
        authority::{self, Authority},
        framing::{self, RequestLine},
        path,
    },
    refusal::reason::Reason,
};
use pingora::protocols::http::ServerSession;

use crate::snapshot::Snapshot;

/// A request whose framing, target and host are beyond doubt.
pub(crate) struct Admitted {
    pub(crate) host: Authority,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

/// Judges framing, limits, target and host.
pub(crate) fn admit(
    session: &ServerSession,
    server_name: Option<&str>,
    snapshot: &Snapshot,
) -> Result<Admitted, Reason> {
    let head = session.req_header();
    let limits = &snapshot.limits;
    framing::header_limits(&head.headers, limits.header_bytes, limits.header_fields)?;
    let raw = RawTarget::of(session)?;
    framing::framing(&RequestLine {
        method: &head.method,
        version: head.version,
        raw_target: raw.text(),
        headers: &head.headers,
        http2: session.is_http2(),
    })?;
    let pseudo = head.uri.authority().filter(|_| session.is_http2());
    let host = authority::requested(
        &head.headers,
        pseudo.map(uri::Authority::as_str),
        snapshot.scheme,
    )?;
    let named = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let target = path::target(raw.text(), named)?;
    if !snapshot.serves(&host) {
        return Err(Reason::Host);
    }
    if server_name.is_some_and(|name| snapshot.is_another_host(name, &host)) {
        return Err(Reason::Misdirected);
    }
    Ok(Admitted {
        host,
        path: target.path.to_owned(),
        query: target.query.map(str::to_owned),
    })
}

/// The target as it came over the wire: the parsed one has already lost its fragment.
enum RawTarget {
    Http1(Bytes, std::ops::Range<usize>),
    Http2(String),
}

impl RawTarget {
    fn of(session: &ServerSession) -> Result<Self, Reason> {
        if session.is_http2() {
            let uri = &session.req_header().uri;
            let target = uri.path_and_query().map_or("", uri::PathAndQuery::as_str);
            return Ok(Self::Http2(target.to_owned()));
        }
        let head = session.to_h1_raw();
        if hides_content_length(session, &head) {
            return Err(Reason::BadFraming);
        }
        // Empty lines before the request line are ignored (RFC 9112 §2.2).
        let blank = head
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        let line = head.get(blank..).unwrap_or_default();
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let space = |at: Option<usize>| at.map(|at| blank + at);
        let start = space(line.iter().position(|byte| *byte == b' ')).map_or(0, |at| at + 1);
        let end = space(line.iter().rposition(|byte| *byte == b' ')).unwrap_or(0);
        let target = head.get(start..end).ok_or(Reason::BadFraming)?;
        std::str::from_utf8(target).map_err(|_| Reason::AmbiguousPath)?;
        Ok(Self::Http1(head, start..end))
    }

    fn text(&self) -> &str {
        match self {
            Self::Http1(head, range) => head
                .get(range.clone())
                .and_then(|target| std::str::from_utf8(target).ok())
                .unwrap_or_default(),
            Self::Http2(target) => target,
        }
    }
}

/// Pingora drops a Content-Length that stands beside a Transfer-Encoding before anybody sees it; here such a request
/// is refused (RFC 9112 §11.2, request smuggling).
fn hides_content_length(session: &ServerSession, head: &[u8]) -> bool {
    session
        .req_header()
        .headers
        .contains_key(header::TRANSFER_ENCODING)
        && head
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.get(..15))
            .any(|name| name.eq_ignore_ascii_case(b"content-length:"))
}
