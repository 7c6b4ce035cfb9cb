//! A hardened HTTP client for one issuer: it GETs a small JSON document, or returns why it could not.

use std::{path::Path, time::Duration};

use bytes::{Bytes, BytesMut};
use mcp_gateway_core::http::authority::Authority;
use reqwest::{Certificate, Client, StatusCode, header::ACCEPT, redirect};
use thiserror::Error;

use crate::error_source::root_cause;

/// Why a document could not be fetched.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum FetchError {
    #[error("the CA file cannot be used: {0}")]
    Authority(String),
    #[error("no response within {0:?} (jwks.fetch)")]
    Deadline(Duration),
    #[error("{url}: {problem}")]
    Connection { url: String, problem: String },
    #[error("{url} answered with status {status}, expected 200")]
    Status { url: String, status: u16 },
    #[error("{0} answered with a redirect, which is not followed")]
    Redirect(String),
    #[error("{url} is larger than {limit} bytes (jwks.bytes)")]
    TooLarge { url: String, limit: usize },
    #[error("{0}")]
    Document(String),
    #[error("{0} is plain HTTP to another machine; use https, or set allow_http on the issuer")]
    Insecure(String),
}

impl FetchError {
    /// The metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Authority(_) => "ca",
            Self::Deadline(_) => "timeout",
            Self::Connection { .. } => "connection",
            Self::Status { .. } => "status",
            Self::Redirect(_) => "redirect",
            Self::TooLarge { .. } => "too_large",
            Self::Document(_) => "document",
            Self::Insecure(_) => "insecure",
        }
    }
}

/// Fetches documents of one issuer.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
    deadline: Duration,
    max_bytes: usize,
    allow_http: bool,
}

impl Fetcher {
    /// A client that trusts the system's CA certificates, or only those in `ca_file`.
    pub(crate) fn new(
        ca_file: Option<&Path>,
        allow_http: bool,
        deadline: Duration,
        max_bytes: usize,
    ) -> Result<Self, FetchError> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("mcp-gateway/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(1);
        if let Some(path) = ca_file {
            builder = builder.tls_certs_only(authorities(path)?);
        }
        let client = builder
            .build()
            .map_err(|error| FetchError::Authority(root_cause(&error)))?;
        Ok(Self {
            client,
            deadline,
            max_bytes,
            allow_http,
        })
    }

    /// The same client with other limits.
    pub(crate) fn within(&self, deadline: Duration, max_bytes: usize) -> Self {
        Self {
            deadline,
            max_bytes,
            ..self.clone()
        }
    }

    /// The whole body of a 200 answer to `GET url`, within the deadline.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        if !self.allow_http && is_insecure(url) {
            return Err(FetchError::Insecure(url.to_owned()));
        }
        tokio::time::timeout(self.deadline, self.fetch(url))
            .await
            .unwrap_or(Err(FetchError::Deadline(self.deadline)))
    }

    async fn fetch(&self, address: &str) -> Result<Bytes, FetchError> {
        let url = address.to_owned();
        let connection = |error: reqwest::Error| FetchError::Connection {
            url: address.to_owned(),
            problem: root_cause(&error),
        };
        let request = self.client.get(address).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(connection)?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => return Err(FetchError::Redirect(url)),
            status => {
                return Err(FetchError::Status {
                    url,
                    status: status.as_u16(),
                });
            }
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(connection)? {
            if body.len() + chunk.len() > self.max_bytes {
                return Err(FetchError::TooLarge {
                    url,
                    limit: self.max_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, FetchError> {
    let bad = |error: String| FetchError::Authority(format!("{}: {error}", path.display()));
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates =
        Certificate::from_pem_bundle(&pem).map_err(|error| bad(root_cause(&error)))?;
    if certificates.is_empty() {
        return Err(bad("no certificate in it".into()));
    }
    Ok(certificates)
}

/// Plain HTTP is allowed to loopback addresses only.
fn is_insecure(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return true;
    };
    match uri.scheme_str() {
        Some("https") => false,
        Some("http") => !uri
            .authority()
            .and_then(|authority| Authority::parse(authority.as_str()).ok())
            .is_some_and(|authority| authority.is_loopback()),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (url, insecure) in [
            ("https://issuer.example/keys", false),
            ("http://127.0.0.1:9/keys", false),
            ("http://[::1]:9/keys", false),
            ("http://localhost/keys", false),
            ("http://issuer.example/keys", true),
            ("http://127.0.0.1.example/keys", true),
            ("file:///etc/passwd", true),
        ] {
            assert_eq!(is_insecure(url), insecure, "{url}");
        }
    }
}
