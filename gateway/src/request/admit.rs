//! Phase 1: is this exactly one request, for a host that is served here? Ambiguity is refused, not normalised.

use http::{header, uri};
use mcp_gateway_core::{
    http::{
        authority::{self, Authority},
        framing::{self, RequestLine},
        path,
    },
    refusal::{
        found::{Found, Listed},
        reason::Reason,
    },
    why::request,
};

use super::{record::why, tls_info::TlsInfo};
use crate::{client_session::ClientSession, snapshot::Snapshot};

/// A request whose framing, target and host are valid and unambiguous.
pub(crate) struct Admitted {
    pub(crate) host: Authority,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

/// Checks framing, limits, target and host.
pub(crate) fn admit(
    session: &ClientSession,
    tls: &TlsInfo,
    snapshot: &Snapshot,
) -> Result<Admitted, Reason> {
    let head = session.req_header();
    let limits = &snapshot.limits;
    framing::header_limits(&head.headers, limits.header_bytes, limits.header_fields)?;
    let raw = raw_target(session)?;
    framing::framing(&RequestLine {
        method: &head.method,
        version: head.version,
        raw_target: raw,
        headers: &head.headers,
        http2: session.is_http2(),
    })?;
    if session.is_http2() && !is_of_http(&head.uri) {
        return Err(Reason::BadFraming);
    }
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
    let target = path::target(raw, named)?;
    if !snapshot.serves(&host) {
        return Err(Reason::Host);
    }
    let server_name = tls.server_name.as_deref();
    if server_name.is_some_and(|name| snapshot.is_another_host(name, &host)) {
        return Err(Reason::Misdirected);
    }
    Ok(Admitted {
        host,
        path: target.path.to_owned(),
        query: target.query.map(str::to_owned),
    })
}

/// Whether `:scheme` is http or https. Both are accepted with and without TLS: proxies that terminate or add TLS send the scheme
/// that their client used, and nothing is decided by it. The library does not hand it over where `Host` is in place of `:authority`.
fn is_of_http(uri: &http::Uri) -> bool {
    uri.scheme_str().is_none_or(|scheme| {
        ["http", "https"]
            .iter()
            .any(|own| scheme.eq_ignore_ascii_case(own))
    })
}

/// What was found in a request that is not admitted, for the operator.
pub(crate) fn found(
    session: &ClientSession,
    tls: &TlsInfo,
    snapshot: &Snapshot,
    reason: Reason,
) -> Option<String> {
    let head = session.req_header();
    let host = why::host(session, snapshot);
    match reason {
        Reason::BadFraming => bad_framing(session, snapshot),
        Reason::ConnectionOption => request::connection_option(&head.headers),
        Reason::AmbiguousPath => Some(match raw_target(session) {
            Ok(raw) => request::target(raw, host.map(|host| host.to_string()).as_deref()),
            Err(_) => "the target is not UTF-8".to_owned(),
        }),
        Reason::Host => {
            let sent = head.headers.get(header::HOST).map(request::text);
            let sent = host.map(|host| host.to_string()).or(sent)?;
            let served = snapshot.hosts();
            let served = Listed(served.iter().map(String::as_str));
            Some(format!(
                "host {}; served: {served} (public_url, hosts)",
                Found(&sent)
            ))
        }
        Reason::Misdirected => Some(format!(
            "the TLS handshake names {}, and the request the host {}",
            Found(tls.server_name.as_deref()?),
            Found(&host?.to_string())
        )),
        _ => None,
    }
}

fn bad_framing(session: &ClientSession, snapshot: &Snapshot) -> Option<String> {
    let head = session.req_header();
    let has = |name| head.headers.contains_key(name);
    if !session.is_http2() && has(header::TRANSFER_ENCODING) && has(header::CONTENT_LENGTH) {
        return Some("Transfer-Encoding and Content-Length together".to_owned());
    }
    let line = RequestLine {
        method: &head.method,
        version: head.version,
        raw_target: "",
        headers: &head.headers,
        http2: session.is_http2(),
    };
    let pseudo = head.uri.authority().filter(|_| session.is_http2());
    let pseudo = pseudo.map(uri::Authority::as_str);
    let scheme = head.uri.scheme_str().filter(|_| session.is_http2());
    request::framing(&line, pseudo, snapshot.scheme)
        .or_else(|| Some(format!(":scheme {}; accepted: http, https", Found(scheme?))))
        .or_else(|| Some("the request line is invalid".to_owned()))
}

/// The target as it was sent: the parsed one has already lost its fragment.
fn raw_target(session: &ClientSession) -> Result<&str, Reason> {
    match session.raw_target() {
        Some(target) => std::str::from_utf8(target).map_err(|_| Reason::AmbiguousPath),
        None => {
            let target = session.req_header().uri.path_and_query();
            Ok(target.map_or("", uri::PathAndQuery::as_str))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::shared::test_gateway::gateway;

    /// The outcome for a request as it was sent, on a connection whose TLS handshake named `server_name`.
    async fn admitted(head: &str, server_name: Option<&str>) -> Result<Admitted, Reason> {
        let (mut client, server) = tokio::io::duplex(64 << 10);
        client.write_all(head.as_bytes()).await.unwrap();
        let mut session = ClientSession::http1(Box::new(server), Bytes::new());
        assert!(session.read_head().await.unwrap(), "{head}");
        let tls = TlsInfo {
            server_name: server_name.map(str::to_owned),
            ..TlsInfo::default()
        };
        admit(&session, &tls, &gateway("").snapshot())
    }

    async fn refusal(head: &str) -> Option<Reason> {
        admitted(head, None).await.err()
    }

    fn get(target: &str) -> String {
        format!("GET {target} HTTP/1.1\r\nHost: mcp.example.com\r\n\r\n")
    }

    #[tokio::test]
    async fn an_unambiguous_request_is_admitted_with_host_path_and_query() {
        for (head, host, path, query) in [
            (get("/mcp"), "mcp.example.com", "/mcp", None),
            (get("/mcp?a=b?c"), "mcp.example.com", "/mcp", Some("a=b?c")),
            (get("/mcp?"), "mcp.example.com", "/mcp", Some("")),
            (
                format!("\r\n{}", get("/mcp")),
                "mcp.example.com",
                "/mcp",
                None,
            ),
            (
                "GET /x HTTP/1.1\r\nHost: INTERNAL.example.com:8443\r\n\r\n".to_owned(),
                "internal.example.com:8443",
                "/x",
                None,
            ),
        ] {
            let admitted = admitted(&head, None)
                .await
                .unwrap_or_else(|reason| panic!("{head}: {reason:?}"));
            assert_eq!(admitted.host.to_string(), host, "{head}");
            assert_eq!(admitted.path, path, "{head}");
            assert_eq!(admitted.query.as_deref(), query, "{head}");
        }
    }

    #[tokio::test]
    async fn a_content_length_next_to_a_transfer_encoding_is_refused_though_the_parser_drops_it() {
        let head =
            |fields: &str| format!("POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\n{fields}\r\n");
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\ncontent-LENGTH: 3\r\n",
        ] {
            assert_eq!(
                refusal(&head(fields)).await,
                Some(Reason::BadFraming),
                "{fields}"
            );
        }
        assert_eq!(refusal(&head("Content-Length: 3\r\n")).await, None);
        assert_eq!(refusal(&head("Transfer-Encoding: chunked\r\n")).await, None);
        let other = head("X-Content-Length: 3\r\nTransfer-Encoding: chunked\r\n");
        assert_eq!(refusal(&other).await, None);
    }

    #[tokio::test]
    async fn an_ambiguous_target_is_refused() {
        for target in [
            "/mcp#part",
            "/mcp/../x",
            "/mcp/%2e%2e/x",
            "//mcp",
            "/m%2fcp",
        ] {
            let reason = refusal(&get(target)).await;
            assert_eq!(reason, Some(Reason::AmbiguousPath), "{target}");
        }
    }

    #[tokio::test]
    async fn only_hosts_that_are_served_are_admitted() {
        for host in [
            "evil.example.com",
            "mcp.example.com:8443",
            "internal.example.com",
        ] {
            let head = format!("GET /mcp HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(refusal(&head).await, Some(Reason::Host), "{host}");
        }
        let standard_port = "GET /mcp HTTP/1.1\r\nHost: mcp.example.com:443\r\n\r\n";
        assert_eq!(refusal(standard_port).await, None);
    }

    #[tokio::test]
    async fn a_request_for_another_host_than_the_connection_is_misdirected() {
        let head = get("/mcp");
        for (name, expected) in [
            (None, None),
            (Some("MCP.example.com"), None),
            (Some("balancer.example.net"), None),
            (Some("own.example.com"), Some(Reason::Misdirected)),
            (Some("internal.EXAMPLE.com"), Some(Reason::Misdirected)),
        ] {
            assert_eq!(admitted(&head, name).await.err(), expected, "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_head_with_too_many_fields_or_bytes_is_refused() {
        let with =
            |fields: String| format!("GET /mcp HTTP/1.1\r\nHost: mcp.example.com\r\n{fields}\r\n");
        assert_eq!(refusal(&with("A: b\r\n".repeat(99))).await, None);
        let many = refusal(&with("A: b\r\n".repeat(100))).await;
        let long = refusal(&with(format!("A: {}\r\n", "b".repeat(33 << 10)))).await;
        assert_eq!([many, long], [Some(Reason::HeadersTooLarge); 2]);
    }
}
