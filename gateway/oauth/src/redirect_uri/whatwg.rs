//! What a browser makes of a redirect URI (WHATWG URL): the same scheme, host, port, path and query as its text has, or it is refused.
//!
//! The other checks leave little that browsers read differently. This one is also for what nobody knows yet.

use url::Url;

use super::{error::RedirectUriError, parts::Parts};

/// Compares the browser's reading with ours.
pub(super) fn check(text: &str, parts: &Parts) -> Result<(), RedirectUriError> {
    let refused = |error: url::ParseError| RedirectUriError::ParserRefuses(error.to_string());
    let read = Url::parse(text).map_err(refused)?;
    if !is_same_host(parts, &read) {
        let shown = read.host_str().unwrap_or_default().to_owned();
        return Err(RedirectUriError::ParserReadsHost(shown));
    }
    if read.path() != parts.requested_path() {
        return Err(RedirectUriError::ParserReadsPath(read.path().to_owned()));
    }
    if read.query() != parts.query.as_deref() {
        let shown = read.query().unwrap_or_default().to_owned();
        return Err(RedirectUriError::ParserReadsQuery(shown));
    }
    Ok(())
}

fn is_same_host(parts: &Parts, read: &Url) -> bool {
    let default = match parts.scheme.as_str() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let is_host = match (&parts.host, read.host_str()) {
        (None, None) => true,
        (Some(own), Some(read)) => own.eq_ignore_ascii_case(read),
        _ => false,
    };
    let has_user = !read.username().is_empty() || read.password().is_some();
    let is_port = read.port_or_known_default() == parts.port.or(default);
    read.scheme() == parts.scheme && is_host && is_port && !has_user && read.fragment().is_none()
}
