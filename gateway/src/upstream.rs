//! One upstream: a pooled HTTP client over TCP, TLS or a unix socket, and the fixed parts of every request to it.
//!
//! Each upstream has a pool of its own, so that no connection verified for one is ever used for another. Names are
//! resolved at every new connection, off the worker threads.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Builder, Client, Error,
        connect::{Connected, Connection, HttpConnector},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error as ThisError;
use tokio::net::UnixStream;
use tower_service::Service;

use crate::config::{
    Timeouts, Upstream as Configured, UpstreamTarget,
    files::{self, FileError},
};

/// Idle connections kept for each upstream.
const IDLE_CONNECTIONS: usize = 256;

/// Room for the upstream's response head and the read buffer of its connection, in bytes. Small: an open event stream
/// holds it for as long as it lives.
const READ_BUFFER: usize = 8 * 1024;

/// TCP keep-alive towards the upstream: comments hide a dead upstream from the client, so the gateway must notice.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 4;

/// Why an upstream cannot be set up.
#[derive(Debug, ThisError)]
pub(crate) enum UpstreamError {
    #[error("the upstream's URL cannot be used: {0}")]
    Url(String),
    #[error("the upstream's CA file {} {error}", path.display())]
    Authorities { path: PathBuf, error: FileError },
}

/// Where a resource's requests go.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Pool,
    uri: Uri,
    host: HeaderValue,
}

#[derive(Debug)]
enum Pool {
    Tcp(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Unix(Client<UnixConnector, Full<Bytes>>),
}

impl Upstream {
    /// An upstream as configured; nothing is connected yet.
    ///
    /// # Errors
    /// The URL or the CA file cannot be used.
    pub(crate) fn new(configured: &Configured, timeouts: &Timeouts) -> Result<Self, UpstreamError> {
        let url = |problem: &dyn std::fmt::Display| UpstreamError::Url(problem.to_string());
        let builder = builder(timeouts);
        let (client, origin) = match &configured.target {
            UpstreamTarget::Http { authority } => {
                let connector = connector(tcp(timeouts), roots(None)?);
                (
                    Pool::Tcp(builder.build(connector)),
                    format!("http://{authority}"),
                )
            }
            UpstreamTarget::Https { authority, ca_file } => {
                let connector = connector(tcp(timeouts), roots(Some(ca_file.as_deref()))?);
                (
                    Pool::Tcp(builder.build(connector)),
                    format!("https://{authority}"),
                )
            }
            UpstreamTarget::Unix { socket } => {
                let connector = UnixConnector::new(socket, timeouts.upstream_connect);
                (
                    Pool::Unix(builder.build(connector)),
                    "http://localhost".to_owned(),
                )
            }
        };
        Ok(Self {
            client,
            uri: format!("{origin}{}", configured.path)
                .parse()
                .map_err(|error: http::uri::InvalidUri| url(&error))?,
            host: HeaderValue::from_str(&configured.host).map_err(|error| url(&error))?,
        })
    }

    /// The upstream's own name, which it expects as `Host`.
    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// What a sealed session remembers of where it was opened.
    pub(crate) fn endpoint(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    /// The URI of the endpoint, with the client's query.
    pub(crate) fn uri(&self, query: Option<&str>) -> Uri {
        let Some(query) = query else {
            return self.uri.clone();
        };
        let mut parts = self.uri.clone().into_parts();
        let with_query = format!("{}?{query}", self.uri.path()).parse().ok();
        parts.path_and_query = with_query.or(parts.path_and_query);
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }

    /// Sends a request; the answer comes with its head. A request that reached no connection is sent again by the
    /// pool, one that did is not.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Error> {
        match &self.client {
            Pool::Tcp(client) => client.request(request).await,
            Pool::Unix(client) => client.request(request).await,
        }
    }
}

fn builder(timeouts: &Timeouts) -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(timeouts.upstream_keep_alive)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .set_host(false)
        .http1_read_buf_exact_size(READ_BUFFER);
    builder
}

fn tcp(timeouts: &Timeouts) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timeouts.upstream_connect));
    connector.set_keepalive(Some(KEEP_ALIVE_IDLE));
    connector.set_keepalive_interval(Some(KEEP_ALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
    connector
}

fn connector(tcp: HttpConnector, roots: RootCertStore) -> HttpsConnector<HttpConnector> {
    let tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp)
}

/// The authorities an upstream is verified against: those of the file, else the system's; none for plain HTTP.
fn roots(ca_file: Option<Option<&Path>>) -> Result<RootCertStore, UpstreamError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => {}
        Some(Some(path)) => {
            return files::roots(path).map_err(|error| UpstreamError::Authorities {
                path: path.to_owned(),
                error,
            });
        }
        Some(None) => {
            let system = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(system.certs);
            if added == 0 {
                tracing::warn!("the system has no CA certificates: https upstreams need a ca_file");
            }
        }
    }
    Ok(roots)
}

/// Connects to a unix socket, whatever the URI says.
#[derive(Clone, Debug)]
struct UnixConnector {
    socket: Arc<PathBuf>,
    deadline: Duration,
}

impl UnixConnector {
    fn new(socket: &Path, deadline: Duration) -> Self {
        Self {
            socket: Arc::new(socket.to_owned()),
            deadline,
        }
    }
}

impl Service<Uri> for UnixConnector {
    type Response = UnixConnection;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<UnixConnection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (socket, deadline) = (self.socket.clone(), self.deadline);
        Box::pin(async move {
            let connected = UnixStream::connect(socket.as_ref());
            let stream = tokio::time::timeout(deadline, connected).await??;
            Ok(UnixConnection(TokioIo::new(stream)))
        })
    }
}

/// A connected unix socket as hyper reads and writes it.
struct UnixConnection(TokioIo<UnixStream>);

impl Connection for UnixConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for UnixConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for UnixConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
