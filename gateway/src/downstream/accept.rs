//! Accepting connections: an accept loop that runs as a Pingora service.
//!
//! Pingora's listening service allows a handshake 60 s, panics in a task when it cannot bind, and has no connection limit.
//! Here sockets are bound before anything starts, each connection holds a permit until it closes, and the handshake has a
//! deadline.

use std::{
    borrow::Cow,
    io,
    net::{IpAddr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use mcp_gateway_core::http::client_address::ClientAddress;
use pingora::{
    protocols::Stream,
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    client_certificates::refused,
    client_sockets::{ClientSockets, set_options},
    connection::Connection,
    tls::ServedTls,
    transport::Transport,
};
use crate::downstream::{
    head_allowance::HeadAllowance,
    peer::Peer,
    rejected::{self, RejectionCause, count_rejected},
};
use crate::{
    config::Timeouts,
    limits::{
        overload::{activity::ACTIVITY, descriptors},
        per_address::AddressSlot,
    },
    request::{possession::client_certificate::thumbprint, tls_info::TlsInfo},
    shared::Gateway,
    snapshot::Snapshot,
    telemetry::{log_interval::LogInterval, metrics::Counted},
};

/// Connections that wait in the kernel's queue until they are accepted.
const BACKLOG: i32 = 4096;

/// How long to pause when the process has no file descriptors left; existing connections are still served.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// One listening address, with or without TLS.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) socket: Option<StdListener>,
    pub(crate) tls: Option<Arc<ServedTls>>,
    pub(crate) proxy_protocol: bool,
}

/// The settings for connections of one listener.
#[derive(Clone)]
struct ListenerSettings {
    tls: Option<Arc<ServedTls>>,
    proxy_protocol: bool,
}

/// Binds `address`, so that a port in use is an error at start.
///
/// # Errors
/// The system's error.
pub(crate) fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    set_options(&socket);
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// All listeners as one Pingora service: one runtime serves every port.
pub(crate) struct Listeners {
    ports: Vec<Port>,
    gateway: Arc<Gateway>,
    draining: watch::Receiver<bool>,
    accepting: Option<Arc<()>>,
}

impl Listeners {
    /// The service that accepts on `ports` until the gateway drains.
    pub(crate) fn new(ports: Vec<Port>, gateway: Arc<Gateway>) -> Self {
        rejected::note_start(gateway.metrics());
        let draining = gateway.process_state().draining();
        let accepting = Some(gateway.process_state().accepting());
        Self {
            ports,
            gateway,
            draining,
            accepting,
        }
    }
}

#[async_trait]
impl Service for Listeners {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let listeners = self.ports.iter_mut().filter_map(|port| {
            let socket = TcpListener::from_std(port.socket.take()?);
            let settings = ListenerSettings {
                tls: port.tls.clone(),
                proxy_protocol: port.proxy_protocol,
            };
            Some((socket, settings))
        });
        let mut running = tokio::task::JoinSet::new();
        for (socket, settings) in listeners {
            match socket {
                Ok(socket) => {
                    let accepting = accept_connections(
                        socket,
                        settings,
                        self.gateway.clone(),
                        self.draining.clone(),
                    );
                    running.spawn(accepting);
                }
                Err(error) => tracing::error!("listener failed (listen): {error}"),
            }
        }
        while running.join_next().await.is_some() {}
        self.accepting = None;
    }

    fn name(&self) -> &str {
        "gateway"
    }
}

async fn accept_connections(
    socket: TcpListener,
    settings: ListenerSettings,
    gateway: Arc<Gateway>,
    mut draining: watch::Receiver<bool>,
) {
    let mut sockets = ClientSockets::of_listener(&socket);
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok((tcp, peer)) => {
                sockets.prepare(&tcp);
                admit_connection(tcp, peer, settings.clone(), &gateway);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                note_accept_error(&error, &gateway);
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

fn note_accept_error(error: &io::Error, gateway: &Gateway) {
    /// Time between two log lines.
    static INTERVAL: LogInterval = LogInterval::every(Duration::from_secs(5));
    gateway.metrics().accept_errors.inc();
    let advice = if descriptors::are_exhausted(error) {
        gateway.overload().note_descriptors_ran_out();
        ": raise the limit of open files (ulimit -n, systemd LimitNOFILE)"
    } else {
        ""
    };
    if let Some(count) = INTERVAL.count_due() {
        tracing::warn!(count, "cannot accept connections: {error}{advice}");
    }
}

/// Starts to serve a connection, or rejects it when a limit is reached.
fn admit_connection(
    tcp: TcpStream,
    address: SocketAddr,
    settings: ListenerSettings,
    gateway: &Arc<Gateway>,
) {
    ACTIVITY.note();
    if gateway.overload().is_short_of_memory() {
        return count_rejected(gateway.metrics(), RejectionCause::Memory);
    }
    let Ok(permit) = gateway.connections().try_acquire_owned() else {
        return count_rejected(gateway.metrics(), RejectionCause::Limit);
    };
    let peer = Peer::Connected(address);
    let slot = match check_proxy_and_acquire_slot(address.ip(), &settings, gateway) {
        Ok(slot) => slot,
        Err(cause) => return count_rejected(gateway.metrics(), cause),
    };
    let mut connection = Box::new(Connection::new(gateway.clone(), peer, permit));
    connection.set_peer(peer, slot);
    let gateway = gateway.clone();
    // What a connection needs until it is open is dropped then.
    let opening = Box::pin(open_connection(
        tcp,
        address,
        settings,
        connection,
        gateway.clone(),
    ));
    tokio::spawn(async move {
        let _open = Counted::new(gateway.metrics().connections_active.clone());
        match opening.await {
            Ok((connection, stream, tls)) => connection.serve(stream, tls).await,
            Err(cause) => count_rejected(gateway.metrics(), cause),
        }
    });
}

/// Reads what comes before the first request: the PROXY protocol header and the TLS handshake.
async fn open_connection(
    mut tcp: TcpStream,
    address: SocketAddr,
    settings: ListenerSettings,
    mut connection: Box<Connection>,
    gateway: Arc<Gateway>,
) -> Result<(Box<Connection>, Stream, TlsInfo), RejectionCause> {
    if settings.proxy_protocol {
        let (peer, slot) = read_proxy_header(&mut tcp, address, &gateway).await?;
        connection.set_peer(peer, slot);
    }
    let head_allowance = connection.head_allowance();
    let opened = handshake(tcp, settings.tls, head_allowance, &gateway).await;
    let (stream, tls) = opened.map_err(|problem| {
        let client = connection.address().known().unwrap_or_else(|| address.ip());
        RejectionCause::of_handshake(client, problem)
    })?;
    Ok((connection, stream, tls))
}

/// Rejects a connection that does not come from a trusted proxy where the listener requires one (`proxy_protocol`), and
/// acquires a slot of its address's limit. No slot for a proxy: it connects for many clients.
fn check_proxy_and_acquire_slot(
    peer: IpAddr,
    settings: &ListenerSettings,
    gateway: &Gateway,
) -> Result<Option<AddressSlot>, RejectionCause> {
    let snapshot = gateway.snapshot();
    match snapshot.addresses.trusted_proxies.contains(peer) {
        true => Ok(None),
        false if settings.proxy_protocol => Err(RejectionCause::ProxyHeader(peer)),
        false => acquire_slot(ClientAddress::Known(peer), peer, &snapshot, gateway),
    }
}

/// A slot of the limit of the client's address; none for an exempt address. `peer` is the address that connected.
fn acquire_slot(
    client: ClientAddress,
    peer: IpAddr,
    snapshot: &Snapshot,
    gateway: &Gateway,
) -> Result<Option<AddressSlot>, RejectionCause> {
    let Some(counted) = snapshot.addresses.counted(client) else {
        return Ok(None);
    };
    let most = snapshot.capacity.connections_per_address;
    let slot = gateway.connections_per_address().try_acquire(counted, most);
    slot.map(Some)
        .ok_or_else(|| RejectionCause::AddressLimit(client.known().unwrap_or(peer)))
}

/// Reads the client's address from the PROXY protocol header, and acquires a slot of that address's limit.
async fn read_proxy_header(
    tcp: &mut TcpStream,
    proxy: SocketAddr,
    gateway: &Gateway,
) -> Result<(Peer, Option<AddressSlot>), RejectionCause> {
    let snapshot = gateway.snapshot();
    let read = timeout(
        snapshot.timeouts.handshake,
        Peer::from_proxy_header(tcp, proxy),
    )
    .await;
    let peer = match read {
        Ok(Ok(peer)) => peer,
        // Health checks of a proxy only connect.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(RejectionCause::Silent);
        }
        Ok(Err(error)) => {
            tracing::debug!("PROXY protocol header rejected: {error}");
            return Err(RejectionCause::ProxyHeader(proxy.ip()));
        }
        Err(_) => return Err(RejectionCause::ProxyHeader(proxy.ip())),
    };
    // A proxy's own connection, as for a health check, is not counted: proxies are exempt.
    let slot = acquire_slot(peer.address(), proxy.ip(), &snapshot, gateway)?;
    Ok((peer, slot))
}

/// The stream of a connection, and what its TLS handshake said.
///
/// # Errors
/// The handshake failed, or was not complete in time. With the problem with the client's certificate, if that was the cause.
async fn handshake(
    tcp: TcpStream,
    tls: Option<Arc<ServedTls>>,
    head_allowance: Arc<HeadAllowance>,
    gateway: &Gateway,
) -> Result<(Stream, TlsInfo), Option<Cow<'static, str>>> {
    let Timeouts {
        handshake,
        write_idle,
        ..
    } = gateway.snapshot().timeouts;
    let Some(tls) = tls else {
        return Ok((
            Box::new(Transport::plain(tcp, head_allowance, write_idle)),
            TlsInfo::default(),
        ));
    };
    let tls = TlsAcceptor::from(tls.current());
    let accepted = timeout(handshake, tls.accept(tcp)).await;
    ACTIVITY.note();
    match accepted {
        Ok(Ok(stream)) => {
            let session = stream.get_ref().1;
            let certificates = session.peer_certificates().unwrap_or_default();
            let info = TlsInfo {
                server_name: session.server_name().map(str::to_owned),
                client_certificate: certificates.first().map(|own| thumbprint(own)),
            };
            let transport = Transport::tls(stream, head_allowance, write_idle);
            Ok((Box::new(transport), info))
        }
        Ok(Err(error)) => {
            tracing::debug!("TLS handshake failed: {error}");
            Err(refused::problem(&error))
        }
        Err(_) => {
            tracing::debug!("TLS handshake failed: deadline exceeded (timeouts.handshake)");
            Err(None)
        }
    }
}
