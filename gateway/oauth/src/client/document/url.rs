//! Which client ids are URLs of metadata documents (draft §3).

use std::fmt;

use crate::client::foreign_url::{self, ForeignUrlFault};

/// The URL of a metadata document: https, a public host, a path, and written as URL parsers write it, because client ids are
/// compared as texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocumentUrl {
    text: String,
    host: String,
}

/// Why a client id is not the URL of a metadata document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentUrlError {
    /// The URL is not fetched for a client.
    #[error("the client id {0}")]
    Foreign(#[from] ForeignUrlFault),
    /// It has no path.
    #[error("the client id has no path")]
    NoPath,
}

impl DocumentUrl {
    /// Reads a client id as the URL of a metadata document.
    ///
    /// # Errors
    /// [`DocumentUrlError`].
    pub fn parse(client_id: &str) -> Result<Self, DocumentUrlError> {
        let url = foreign_url::judge(client_id)?;
        if url.path() == "/" {
            return Err(DocumentUrlError::NoPath);
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        Ok(Self {
            text: url.into(),
            host,
        })
    }

    /// The URL, which is the client id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its host.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for DocumentUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Whether a client id is meant as a URL: then it names a metadata document or nothing. The server gives out no such ids.
pub fn looks_like_url(client_id: &str) -> bool {
    let scheme = client_id.split("://").next().unwrap_or_default();
    let is_scheme =
        |scheme: &str| scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    scheme.len() < client_id.len() && is_scheme(scheme.trim())
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::http::outbound::foreign_url::ForeignUrlError;

    use super::*;

    #[test]
    fn a_document_url_has_a_host_and_a_path() {
        let url = DocumentUrl::parse("https://claude.ai/oauth/mcp-oauth-client-metadata").unwrap();
        assert_eq!(url.host(), "claude.ai");
        assert_eq!(
            DocumentUrl::parse("https://claude.ai/"),
            Err(DocumentUrlError::NoPath)
        );
        assert_eq!(
            DocumentUrl::parse("https://claude.ai/?a=b"),
            Err(DocumentUrlError::NoPath)
        );
        assert_eq!(
            DocumentUrl::parse("http://claude.ai/a"),
            Err(ForeignUrlFault::NotFetched(ForeignUrlError::Scheme).into())
        );
    }

    #[test]
    fn an_id_that_is_meant_as_a_url_is_recognised() {
        for id in ["https://a.example/c", "HTTP://a", " https://a", "https://"] {
            assert!(looks_like_url(id), "{id:?}");
        }
        for id in ["", "https", "abc", "urn:a", "cursor://a", "https:/a"] {
            assert!(!looks_like_url(id), "{id:?}");
        }
    }
}
