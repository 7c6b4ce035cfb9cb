//! One upstream: how it is reached, its kept connections, and the fixed parts of every request to it.
//!
//! * [`connect`] opens a connection over TCP, TLS or a unix socket;
//! * [`link`] is a connection in use, driven by the request that uses it;
//! * [`pool`] keeps connections between two requests.
//!
//! Each upstream has a pool of its own, so that no connection verified for one is ever used for another. Names are
//! resolved at every new connection, off the worker threads.

mod connect;
mod link;
mod pool;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use thiserror::Error;

use crate::config::{Timeouts, Upstream as Configured, UpstreamTarget, files::FileError};
use connect::Connector;
pub(crate) use link::Answer;
use pool::Pool;

/// Why an upstream cannot be set up.
#[derive(Debug, Error)]
pub(crate) enum UpstreamError {
    #[error("the upstream's URL cannot be used: {0}")]
    Url(String),
    #[error("the upstream's CA file {} {error}", path.display())]
    Authorities {
        path: std::path::PathBuf,
        error: FileError,
    },
}

/// Why an upstream did not answer.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    /// There is no connection to be had.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke off, or what came over it is no HTTP.
    #[error("{0}")]
    Broken(String),
}

/// Where a resource's requests go.
#[derive(Debug)]
pub(crate) struct Upstream {
    connector: Connector,
    pool: Arc<Pool>,
    uri: Uri,
    host: HeaderValue,
    endpoint: String,
}

impl Upstream {
    /// An upstream as configured; nothing is connected yet.
    ///
    /// # Errors
    /// The URL or the CA file cannot be used.
    pub(crate) fn new(configured: &Configured, timeouts: &Timeouts) -> Result<Self, UpstreamError> {
        let url = |problem: &dyn std::fmt::Display| UpstreamError::Url(problem.to_string());
        let origin = match &configured.target {
            UpstreamTarget::Http { authority } => format!("http://{authority}"),
            UpstreamTarget::Https { authority, .. } => format!("https://{authority}"),
            UpstreamTarget::Unix { .. } => "http://localhost".to_owned(),
        };
        let endpoint = match &configured.target {
            UpstreamTarget::Unix { socket } => {
                format!("unix:{}{}", socket.display(), configured.path)
            }
            _ => format!("{origin}{}", configured.path),
        };
        Ok(Self {
            connector: Connector::new(&configured.target, timeouts.upstream_connect)?,
            pool: Pool::new(timeouts.upstream_keep_alive),
            uri: format!("{origin}{}", configured.path)
                .parse()
                .map_err(|error: http::uri::InvalidUri| url(&error))?,
            host: HeaderValue::from_str(&configured.host).map_err(|error| url(&error))?,
            endpoint,
        })
    }

    /// The upstream's own name, which it expects as `Host`.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// What a sealed session remembers of where it was opened.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The request target at the upstream, with the client's query.
    pub(crate) fn target(&self, query: Option<&str>) -> Uri {
        let path = self.uri.path();
        let target = match query {
            Some(query) => format!("{path}?{query}").parse(),
            None => path.parse(),
        };
        target.unwrap_or_else(|_| self.uri.clone())
    }

    /// Sends a request; the answer comes with its head. A request that a kept connection did not take any more is sent
    /// again over another; one that may have been read is not.
    ///
    /// # Errors
    /// No connection, or one that broke off.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Answer>, SendError> {
        while let Some(link) = self.pool.take() {
            match link.exchange(request).await {
                Ok(answer) => return Ok(answer),
                Err((_, Some(unsent))) => request = unsent,
                Err((error, None)) => return Err(error),
            }
        }
        let connected = self.connector.connect(&self.uri, &self.pool).await;
        let link = connected
            .map_err(|problem| SendError::Unreachable(format!("{}: {problem}", self.endpoint)))?;
        link.exchange(request).await.map_err(|(error, _)| error)
    }
}
