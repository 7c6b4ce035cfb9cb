//! TLS, and HTTP/1.1 on one connection, for requests that do not go through reqwest: those through a proxy, and those for URLs
//! that strangers choose.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::error_source::root_cause;

/// Most bytes that are buffered of one connection: the head of an answer fits in it.
const MAX_BUFFER: usize = 64 * 1024;

/// How the gateway names itself.
pub(super) const AGENT: &str = concat!("mcp-gateway/", env!("CARGO_PKG_VERSION"));

/// What a request goes over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sends requests on one connection.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// TLS that trusts these certificates.
pub(super) fn tls(roots: RootCertStore) -> TlsConnector {
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// The CA certificates of the system.
pub(super) fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Begins TLS with this host.
pub(super) async fn secured<S: Stream>(
    tls: &TlsConnector,
    host: &str,
    stream: S,
) -> Result<TlsStream<S>, String> {
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| error.to_string())?;
    tls.connect(name, stream)
        .await
        .map_err(|error| root_cause(&error))
}

/// Begins HTTP/1.1. Somebody must drive the connection.
pub(super) async fn begin<S: Stream + 'static>(
    stream: S,
) -> Result<(Sender, Connection<TokioIo<S>, Full<Bytes>>), String> {
    let handshake = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .handshake(TokioIo::new(stream));
    handshake.await.map_err(|error| root_cause(&error))
}

/// Begins HTTP/1.1. The task of the connection ends with the sender and the answer.
pub(super) async fn handshake<S: Stream + 'static>(stream: S) -> Result<Sender, String> {
    let (sender, connection) = begin(stream).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// An IPv6 address without its brackets.
pub(super) fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[');
    inner
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
