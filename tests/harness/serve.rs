//! A small HTTP/1.1 server over TCP, TLS or a unix socket, which counts its connections and can be stopped.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// The body of an answer; an error aborts the connection.
pub type Body = BoxBody<Bytes, io::Error>;

/// What answers a request; an error closes the connection without an answer.
pub type Handler = Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

/// An answer that is being computed.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, io::Error>> + Send>>;

/// A running server; it stops when dropped and closes every connection.
pub struct Server {
    address: SocketAddr,
    counts: Counts,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Counts {
    accepted: Arc<AtomicUsize>,
    open: watch::Sender<usize>,
}

type Stream = Box<dyn Duplex>;
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Server {
    /// Serves plain HTTP on `address`; port 0 means any free port.
    pub async fn tcp(address: SocketAddr, handler: Handler) -> Self {
        Self::listen(address, None, handler).await
    }

    /// Serves HTTPS.
    pub async fn tls(
        address: SocketAddr,
        tls: Arc<rustls::ServerConfig>,
        handler: Handler,
    ) -> Self {
        Self::listen(address, Some(TlsAcceptor::from(tls)), handler).await
    }

    /// Serves plain HTTP on a unix socket; its address is not used.
    pub fn unix(path: &Path, handler: Handler) -> Self {
        let listener = UnixListener::bind(path).expect("the socket's folder is writable");
        let counts = Counts::new();
        let counting = counts.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(
                    Box::new(stream),
                    handler.clone(),
                    counting.enter(),
                ));
            }
        });
        Self {
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            counts,
            task,
        }
    }

    async fn listen(address: SocketAddr, tls: Option<TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let counts = Counts::new();
        let counting = counts.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, tls, guard) = (handler.clone(), tls.clone(), counting.enter());
                connections.spawn(async move {
                    let _ = stream.set_nodelay(true);
                    match tls {
                        None => connection(Box::new(stream), handler, guard).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(Box::new(stream), handler, guard).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            address,
            counts,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were ever accepted.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open; changes can be awaited.
    pub fn open(&self) -> watch::Receiver<usize> {
        self.counts.open.subscribe()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Counts {
    fn new() -> Self {
        Self {
            accepted: Arc::default(),
            open: watch::Sender::new(0),
        }
    }

    fn enter(&self) -> Open {
        self.accepted.fetch_add(1, Ordering::SeqCst);
        self.open.send_modify(|open| *open += 1);
        Open(self.open.clone())
    }
}

/// Counts a connection down when it ends.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

async fn connection(stream: Stream, handler: Handler, guard: Open) {
    let service = service_fn(move |request| handler(request));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().half_close(false);
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
    drop(guard);
}

/// A body that is whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}
