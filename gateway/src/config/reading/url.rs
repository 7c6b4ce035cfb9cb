//! URLs in a configuration: scheme, authority, path, and nothing ambiguous.

use mcp_gateway_core::http::authority::{Authority, Scheme};
use thiserror::Error;

/// An `http` or `https` URL without user information and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    /// The scheme.
    pub(crate) scheme: Scheme,
    /// Host and port, the scheme's default port left out.
    pub(crate) authority: Authority,
    /// The path: empty, or beginning with a slash.
    pub(crate) path: String,
    /// The query, without its question mark.
    pub(crate) query: Option<String>,
}

/// Why the gateway does not accept a URL.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum UrlError {
    #[error("must be an absolute http or https URL")]
    Scheme,
    #[error("must have a valid host and an optional port, without user name or password")]
    Authority,
    #[error("must not have a query")]
    Query,
    #[error("must not have a fragment (#)")]
    Fragment,
    #[error("must not have spaces, dot segments or other ambiguous characters in its path")]
    Path,
    #[error(
        "must not have two slashes in a row in its path (a variable may already end with a slash)"
    )]
    EmptySegment,
}

impl HttpUrl {
    /// Parses a URL, which may have a query.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = Scheme::parse(scheme).ok_or(UrlError::Scheme)?;
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = rest
            .split_at_checked(rest.find('/').unwrap_or(rest.len()))
            .ok_or(UrlError::Path)?;
        let authority = Authority::parse(authority).map_err(|_| UrlError::Authority)?;
        if !is_plain(path) || !query.iter().all(|query| query.chars().all(is_url_char)) {
            return Err(UrlError::Path);
        }
        if path.contains("//") {
            return Err(UrlError::EmptySegment);
        }
        Ok(Self {
            scheme,
            authority: authority.for_scheme(scheme),
            path: path.to_owned(),
            query,
        })
    }

    /// Parses a URL without query.
    pub(crate) fn without_query(text: &str) -> Result<Self, UrlError> {
        let url = Self::parse(text)?;
        if url.query.is_some() {
            return Err(UrlError::Query);
        }
        Ok(url)
    }

    /// Whether others on the network can read what is sent there: plain HTTP to another host.
    pub(crate) fn is_exposed(&self) -> bool {
        self.scheme == Scheme::Http && !self.authority.is_loopback()
    }
}

/// Whether a path has only characters of URLs and no dot segments.
fn is_plain(path: &str) -> bool {
    path.chars().all(is_url_char) && !path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A character of RFC 3986 §2 or a percent sign.
fn is_url_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~/!$&'()*+,;=:@%?[]".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_scheme_authority_path_and_query() {
        let url = HttpUrl::parse("https://Login.Example.com:443/a/b?p=x").unwrap();
        assert_eq!(url.authority.to_string(), "login.example.com");
        assert_eq!(
            (url.path.as_str(), url.query.as_deref()),
            ("/a/b", Some("p=x"))
        );
        assert_eq!(HttpUrl::parse("http://a").unwrap().path, "");
    }

    #[test]
    fn ambiguous_urls_are_refused() {
        let cases = [
            ("example.com", UrlError::Scheme),
            ("ftp://example.com", UrlError::Scheme),
            ("https:/example.com", UrlError::Scheme),
            ("https://", UrlError::Authority),
            ("https://user:secret@example.com", UrlError::Authority),
            ("https://a b/", UrlError::Authority),
            ("https://example.com/#x", UrlError::Fragment),
            ("https://example.com/?x", UrlError::Query),
            ("https://example.com/a/../b", UrlError::Path),
            ("https://example.com/a\\b", UrlError::Path),
            ("https://example.com/a b", UrlError::Path),
            ("https://example.com//a", UrlError::EmptySegment),
            ("https://example.com/a//", UrlError::EmptySegment),
            ("https://example.com/ä", UrlError::Path),
        ];
        for (text, expected) in cases {
            assert_eq!(HttpUrl::without_query(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn plain_http_is_exposed_beyond_loopback() {
        let cases = [
            ("http://localhost:9000", false),
            ("http://127.0.0.1", false),
            ("http://[::1]:1", false),
            ("http://example.com", true),
            ("http://127.0.0.1.example.com", true),
            ("https://example.com", false),
        ];
        for (text, expected) in cases {
            assert_eq!(
                HttpUrl::parse(text).unwrap().is_exposed(),
                expected,
                "{text}"
            );
        }
    }
}
