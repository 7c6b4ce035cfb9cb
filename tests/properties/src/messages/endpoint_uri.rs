//! The URI of an `endpoint` event (HTTP+SSE): what is asked for is at the server's own origin for a URL parser too, and is what the
//! server wrote.

use mcp_gateway_core::{
    http::authority::{Authority, Scheme},
    http_sse::endpoint_uri::{MAX_ENDPOINT_URI, Server},
    refusal::reason::Reason,
};
use url::Url;

/// Where the server's event streams are.
const PATHS: [&str; 4] = ["/sse", "/a/sse", "/a/sse/", "/"];

/// The data of an `endpoint` event.
pub fn endpoint_uri(bytes: &[u8]) {
    let Ok(uri) = std::str::from_utf8(bytes) else {
        return;
    };
    for path in PATHS {
        for (scheme, authority) in [
            (Scheme::Http, "10.0.0.5:9000"),
            (Scheme::Https, "mcp.example.com"),
        ] {
            let server = Server {
                scheme,
                authorities: vec![Authority::parse(authority).unwrap()],
                path,
            };
            match server.resolve(uri) {
                Ok(target) => {
                    let base = Url::parse(&format!("{scheme}://{authority}{path}")).unwrap();
                    resolved(&base, uri, &target);
                }
                Err(fault) => {
                    let is_known =
                        [Reason::EndpointOrigin, Reason::UpstreamEndpoint].contains(&fault.reason);
                    assert!(is_known && !fault.detail.is_empty(), "{fault:?}");
                }
            }
        }
    }
}

/// Whether a URI is taken from a server at this path.
pub fn takes_endpoint_uri(bytes: &[u8]) -> bool {
    let uri = std::str::from_utf8(bytes).unwrap_or_default();
    let server = Server {
        scheme: Scheme::Http,
        authorities: vec![Authority::parse("10.0.0.5:9000").unwrap()],
        path: "/a/sse",
    };
    server.resolve(uri).is_ok()
}

fn resolved(base: &Url, uri: &str, target: &str) {
    let read = base.join(uri).expect("a URL parser reads it");
    assert_eq!(read.origin(), base.origin(), "{uri}");
    assert!(
        read.username().is_empty() && read.password().is_none(),
        "{uri}"
    );
    assert!(
        target.starts_with('/') && !target.starts_with("//"),
        "{uri}"
    );
    assert!(
        target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    );
    assert!(target.len() <= base.path().len() + MAX_ENDPOINT_URI);
    let asked = match read.query() {
        Some(query) => format!("{}?{query}", read.path()),
        None => read.path().to_owned(),
    };
    // In a query, that parser writes an apostrophe with an escape.
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.replace('\'', "%27"))),
        None => (target, None),
    };
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    assert_eq!(asked, target, "{uri}");
}
