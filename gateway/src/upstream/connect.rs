//! Opening a connection to an upstream: TCP, TLS over it, or a unix socket; and which version of HTTP it then speaks.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use http::Uri;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::{net::UnixStream, time::timeout};
use tower_service::Service;

use super::{
    addresses::Addresses,
    error::UpstreamError,
    link::Link,
    tls::{
        self, Client,
        words::{self, OwnCertificate},
    },
    wire::Wire,
};
use crate::config::{Upstream, UpstreamTarget};

/// TCP keep-alive towards the upstream. The gateway's comments keep a stream alive for the client, so the gateway itself
/// must detect a dead upstream.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 4;

/// How an upstream is reached.
#[derive(Debug)]
pub(super) struct Connector {
    way: Way,
    version: Version,
    deadline: Duration,
}

#[derive(Debug)]
enum Way {
    Tcp {
        connector: HttpsConnector<HttpConnector<Addresses>>,
        tls: Box<Client>,
    },
    Unix(PathBuf),
}

impl Way {
    /// Over TCP, to any address of the host or to this one alone.
    fn tcp(tls: Client, version: Version, address: Option<IpAddr>) -> Self {
        Self::Tcp {
            connector: tcp(tls.clone(), version, address),
            tls: Box::new(tls),
        }
    }
}

/// The version of HTTP on new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    /// Without asking the server (RFC 9113 §3.3).
    Http2,
    /// As the server chooses (ALPN, RFC 7301).
    Negotiated,
}

impl Version {
    const fn of(configured: &Upstream) -> Self {
        match (configured.http2, &configured.target) {
            (false, _) => Self::Http1,
            (true, UpstreamTarget::Https { .. }) => Self::Negotiated,
            (true, UpstreamTarget::Http { .. } | UpstreamTarget::Unix { .. }) => Self::Http2,
        }
    }
}

/// A new connection.
pub(super) enum Opened {
    /// Ready for a request.
    Http1(Link),
    /// HTTP/2 is still to begin.
    Http2(Wire),
}

impl Connector {
    /// A connector to an upstream; `deadline` is for a whole connection, TLS included.
    pub(super) fn new(configured: &Upstream, deadline: Duration) -> Result<Self, UpstreamError> {
        let version = Version::of(configured);
        let way = match &configured.target {
            UpstreamTarget::Http { .. } => Way::tcp(tls::unused(), version, None),
            UpstreamTarget::Https { tls, .. } => Way::tcp(tls::client(tls)?, version, None),
            UpstreamTarget::Unix { socket } => Way::Unix(socket.clone()),
        };
        Ok(Self {
            way,
            version,
            deadline,
        })
    }

    /// The same connector, to this address of the host alone.
    pub(super) fn at(&self, address: IpAddr) -> Self {
        let way = match &self.way {
            Way::Tcp { tls, .. } => Way::tcp((**tls).clone(), self.version, Some(address)),
            Way::Unix(socket) => Way::Unix(socket.clone()),
        };
        Self {
            way,
            version: self.version,
            deadline: self.deadline,
        }
    }

    /// The version of HTTP on new connections.
    pub(super) const fn version(&self) -> Version {
        self.version
    }

    /// Whether the gateway has a certificate of its own for the upstream.
    pub(super) fn own_certificate(&self) -> OwnCertificate {
        match &self.way {
            Way::Tcp { tls, .. } => tls.own_certificate(),
            Way::Unix(_) => OwnCertificate::Missing,
        }
    }

    /// The deadline of a new connection.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Says that HTTP/2 could not begin on a connection.
    pub(super) fn no_http2(&self, problem: &str) -> String {
        match self.version {
            Version::Negotiated => format!("HTTP/2 could not begin: {problem}"),
            Version::Http1 | Version::Http2 => format!(
                "the upstream does not speak HTTP/2 without TLS (resources.upstream.http2): {problem}"
            ),
        }
    }

    /// A new connection.
    pub(super) async fn connect(&self, uri: &Uri) -> Result<Opened, String> {
        let wire = timeout(self.deadline, self.wire(uri)).await.map_err(|_| {
            format!(
                "no connection within {:?} (timeouts.upstream_connect)",
                self.deadline
            )
        })??;
        if self.version == Version::Http2 || wire.chose_http2() {
            return Ok(Opened::Http2(wire));
        }
        Ok(Opened::Http1(Link::new(wire, self.own_certificate())))
    }

    async fn wire(&self, uri: &Uri) -> Result<Wire, String> {
        match &self.way {
            Way::Tcp { connector, .. } => {
                let connected = connector.clone().call(uri.clone()).await;
                connected
                    .map(Wire::from)
                    .map_err(|error| words::cause(&*error, self.own_certificate()))
            }
            Way::Unix(socket) => {
                let connected = UnixStream::connect(socket).await;
                let wire = connected.map(|stream| Wire::Unix(TokioIo::new(stream)));
                wire.map_err(|error| error.to_string())
            }
        }
    }
}

fn tcp(
    tls: Client,
    version: Version,
    address: Option<IpAddr>,
) -> HttpsConnector<HttpConnector<Addresses>> {
    let mut connector = HttpConnector::new_with_resolver(Addresses::new(address));
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(KEEP_ALIVE_IDLE));
    connector.set_keepalive_interval(Some(KEEP_ALIVE_INTERVAL));
    connector.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls.config)
        .https_or_http();
    let builder = match tls.server_name {
        Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
        None => builder,
    };
    let builder = builder.enable_http1();
    match version {
        Version::Negotiated => builder.enable_http2().wrap_connector(connector),
        Version::Http1 | Version::Http2 => builder.wrap_connector(connector),
    }
}
