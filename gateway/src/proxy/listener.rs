//! Accepting connections: our own loop as a Pingora service.
//!
//! Pingora's listening service gives a handshake 60 s, panics in a task when it cannot bind, and has no limit of
//! connections. Here sockets are bound before anything starts, each connection holds a permit for as long as it lives,
//! and the handshake has a deadline.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use pingora::{
    protocols::Stream,
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{allowance::Allowance, connection::Connection, transport::Transport};
use crate::{gateway::Gateway, telemetry::metrics::Counted};

/// Connections the kernel holds for us between two accepts.
const BACKLOG: i32 = 4096;

/// TCP keep-alive towards clients: a vanished one would hold its streams for a quarter of an hour.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 4;

/// How long to pause when the process is out of descriptors; existing connections go on meanwhile.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// One address that accepts, with or without TLS.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) socket: Option<StdListener>,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

/// Binds `address`, so that a port in use is an error at start and not a process without a listener.
///
/// # Errors
/// What the system says.
pub(crate) fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// All listeners as one Pingora service: one runtime serves every port.
pub(crate) struct Listeners {
    ports: Vec<Port>,
    gateway: Arc<Gateway>,
    draining: watch::Receiver<bool>,
}

impl Listeners {
    /// The service that accepts on `ports` until the gateway drains.
    pub(crate) fn new(ports: Vec<Port>, gateway: Arc<Gateway>) -> Self {
        let draining = gateway.draining();
        Self {
            ports,
            gateway,
            draining,
        }
    }
}

#[async_trait]
impl Service for Listeners {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let loops = self.ports.iter_mut().filter_map(|port| {
            let socket = TcpListener::from_std(port.socket.take()?);
            let tls = port.tls.clone().map(TlsAcceptor::from);
            Some((socket, tls))
        });
        let mut running = tokio::task::JoinSet::new();
        for (socket, tls) in loops {
            match socket {
                Ok(socket) => {
                    let accepting =
                        accept(socket, tls, self.gateway.clone(), self.draining.clone());
                    running.spawn(accepting);
                }
                Err(error) => tracing::error!("a listener cannot be used: {error}"),
            }
        }
        while running.join_next().await.is_some() {}
    }

    fn name(&self) -> &str {
        "gateway"
    }
}

async fn accept(
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    gateway: Arc<Gateway>,
    mut draining: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok((tcp, peer)) => admit(tcp, peer, tls.clone(), &gateway),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// Starts serving a connection, or closes it at once when there are too many.
fn admit(tcp: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, gateway: &Arc<Gateway>) {
    let Ok(permit) = gateway.connections().try_acquire_owned() else {
        tracing::warn!("too many connections: one was closed");
        return;
    };
    if let Err(error) = tune(&tcp) {
        tracing::debug!("a client's socket takes no options: {error}");
    }
    let connection = Connection::new(gateway.clone(), peer, permit);
    let gateway = gateway.clone();
    tokio::spawn(async move {
        let _open = Counted::new(gateway.metrics().connections_active.clone());
        let allowance = connection.allowance();
        if let Some((stream, server_name)) = handshake(tcp, tls, allowance, &gateway).await {
            connection.serve(stream, server_name).await;
        }
    });
}

/// The stream of a connection, and the name its client asked for in the handshake (RFC 6066 §3); nothing when the client
/// does not complete its handshake in time.
async fn handshake(
    tcp: TcpStream,
    tls: Option<TlsAcceptor>,
    allowance: Arc<Allowance>,
    gateway: &Gateway,
) -> Option<(Stream, Option<String>)> {
    let Some(tls) = tls else {
        return Some((Box::new(Transport::plain(tcp, allowance)), None));
    };
    let deadline = gateway.snapshot().timeouts.handshake;
    match timeout(deadline, tls.accept(tcp)).await {
        Ok(Ok(stream)) => {
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            Some((Box::new(Transport::tls(stream, allowance)), name))
        }
        Ok(Err(error)) => {
            tracing::debug!("a TLS handshake failed: {error}");
            None
        }
        Err(_) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}

/// What is written leaves at once, and a client that vanished is noticed.
fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_IDLE)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_RETRIES);
    SockRef::from(tcp).set_tcp_keepalive(&keep_alive)
}
