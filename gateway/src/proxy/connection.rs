//! One client connection: its requests one after the other, each wait under its own deadline.
//!
//! Three waits are told apart: for the first request (a silent client is closed by the header deadline, HTTP/2 clients
//! that never open a stream included), for the rest of a request's head (one deadline for the whole head, however it
//! drips), and for the next request of a kept connection (the keep-alive idle timeout).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::BytesMut;
use mcp_gateway_core::auth::reason::Reason;
use pingora::{
    apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    protocols::{
        Stream,
        http::{
            ServerSession,
            v2::server::{H2Options, default_h2_options},
        },
    },
    server::ShutdownWatch,
};
use tokio::{
    io::AsyncReadExt,
    sync::{OwnedSemaphorePermit, watch},
    time::{sleep, timeout},
};

use super::{
    account::Account,
    allowance::Allowance,
    answer,
    client::Peer,
    journey::{self, Exchange, Next},
    relay,
};
use crate::{gateway::Gateway, places::Place, snapshot::Snapshot};

/// Room for the head of the next request on a kept connection, in bytes; a longer head makes it grow.
const NEXT_HEAD: usize = 4096;

/// How long a kept connection may still bring a request when the gateway drains: one that is on its way is answered, as
/// the connection's last, and not cut off.
const LINGER: Duration = Duration::from_secs(1);

/// How long the frames of a broken answer have until the stream is reset.
const LAST_WORDS: Duration = Duration::from_millis(10);

/// One client connection; it holds its place among the limited number of connections until it is dropped.
pub(super) struct Connection {
    gateway: Arc<Gateway>,
    peer: Peer,
    options: HttpServerOptions,
    header_deadline: Duration,
    streams: usize,
    header_bytes: usize,
    allowance: Arc<Allowance>,
    /// The host the client named in its TLS handshake.
    server_name: Option<String>,
    /// From before the handshake, so that an end that comes during it is not missed.
    draining: watch::Receiver<bool>,
    /// A first request has arrived.
    seen: AtomicBool,
    _permit: OwnedSemaphorePermit,
    /// Its place among those of its address, where these are limited.
    _place: Option<Place>,
}

impl Connection {
    pub(super) fn new(gateway: Arc<Gateway>, peer: Peer, permit: OwnedSemaphorePermit) -> Self {
        let snapshot = gateway.snapshot();
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(snapshot.timeouts.keep_alive);
        Self {
            options,
            peer,
            header_deadline: snapshot.timeouts.header,
            streams: snapshot.limits.streams_per_connection,
            header_bytes: snapshot.limits.header_bytes,
            allowance: Arc::new(Allowance::unlimited()),
            server_name: None,
            draining: gateway.draining(),
            seen: AtomicBool::new(false),
            _permit: permit,
            _place: None,
            gateway,
        }
    }

    /// Says who is at the other end, and gives the connection its place among those of this address.
    pub(super) fn comes_from(&mut self, peer: Peer, place: Option<Place>) {
        self.peer = peer;
        self._place = place;
    }

    /// What the transport counts against.
    pub(super) fn allowance(&self) -> Arc<Allowance> {
        self.allowance.clone()
    }

    /// Serves the connection to its end. `server_name` is the host the client named in its TLS handshake.
    pub(super) async fn serve(mut self, stream: Stream, server_name: Option<String>) {
        self.server_name = server_name;
        let draining = self.draining.clone();
        let deadline = self.header_deadline;
        let connection = Arc::new(self);
        tokio::select! {
            _ = connection.process_new(stream, &draining) => {}
            () = connection.gateway.is_cut() => {}
            () = connection.unseen(deadline) => {
                tracing::debug!("a connection brought no request within the header deadline");
            }
        }
    }

    /// Ends when the deadline passes without a first request; never once there was one.
    async fn unseen(&self, deadline: Duration) {
        sleep(deadline).await;
        if self.seen.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }

    /// The head of the next request, or nothing when the client is gone or sent none that can be read.
    async fn read_head(&self, session: &mut ServerSession, snapshot: &Snapshot) -> Option<()> {
        if !session.is_http2() {
            // Twice the limit, since what is read last may hold a part of the body; the limit itself is judged later.
            self.allowance.begin(2 * self.header_bytes + NEXT_HEAD);
        }
        let read = timeout(snapshot.timeouts.header, session.read_request()).await;
        let is_too_large = self.allowance.is_used_up();
        self.allowance.end();
        match read {
            Ok(Ok(true)) => {
                self.seen.store(true, Ordering::Relaxed);
                Some(())
            }
            Ok(Ok(false)) => None,
            // The error's text holds the raw head, credentials included: it is never printed.
            Ok(Err(_)) => {
                let client = self.peer.client(None, &snapshot.addresses);
                let mut account = Box::new(Account::open(&self.gateway, client, None));
                let reason = if is_too_large {
                    Reason::HeadersTooLarge
                } else {
                    Reason::BadFraming
                };
                answer::unreadable_head(session, &mut account, reason).await;
                account.close(session.body_bytes_sent());
                None
            }
            Err(_) => None,
        }
    }

    async fn exchange(&self, session: &mut ServerSession, snapshot: Arc<Snapshot>) -> Option<()> {
        session.set_write_timeout(Some(snapshot.timeouts.write_idle));
        session.set_read_timeout(None);
        if self.gateway.is_draining() {
            session.set_keepalive(None);
        }
        let head = session.req_header();
        let client = self.peer.client(Some(&head.headers), &snapshot.addresses);
        let mut account = Box::new(Account::open(&self.gateway, client, Some(head)));
        // The decision's future is large and short-lived: it is gone before a stream starts.
        let server_name = self.server_name.as_deref();
        let mut exchange = Exchange::new(session, server_name, snapshot, &mut account);
        let next = Box::pin(journey::decide(&mut exchange)).await;
        let ended = match next {
            Ok(Next::Answered) => Ok(()),
            Ok(Next::Relay(relay)) => Box::pin(relay::relay(relay, session, &mut account)).await,
            Err(broken) => Err(broken),
        };
        if ended.is_err() {
            account.broken_by("client");
        }
        account.close(session.body_bytes_sent());
        if ended.is_err() {
            // What was relayed so far still goes out; without its end, the client sees that it was cut. An HTTP/2 reset
            // would overtake it.
            if session.is_http2() {
                sleep(LAST_WORDS).await;
            }
            session.shutdown().await;
        }
        ended.ok()
    }

    /// Waits for the next request on a kept connection, holding no session meanwhile.
    async fn next_request(
        &self,
        session: Box<ServerSession>,
        idle: Duration,
    ) -> Option<ReusedHttpStream> {
        let mut settings = HttpPersistentSettings::for_session(&session);
        let write_idle = session.get_write_timeout();
        let finished = answer::within(write_idle, session.finish()).await;
        // Bytes behind a request are no second request here: its answer is the connection's last.
        let (mut stream, _) = finished.ok()??.into_parts();
        let mut head = BytesMut::with_capacity(NEXT_HEAD);
        let mut draining = self.gateway.draining();
        let read = tokio::select! {
            read = timeout(idle, stream.read_buf(&mut head)) => read.ok()?.ok()?,
            () = lingering(&mut draining) => 0,
        };
        if read == 0 {
            stream.shutdown().await;
            return None;
        }
        settings.set_pipelined_prefix(head);
        Some(ReusedHttpStream::new(stream, Some(settings)))
    }
}

/// Ends a while after the gateway has begun to drain.
async fn lingering(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway.
    let _ = draining.wait_for(|draining| *draining).await;
    sleep(LINGER).await;
}

#[async_trait]
impl HttpServerApp for Connection {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        _: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let mut session = Box::new(session);
        let snapshot = self.gateway.snapshot();
        let idle = snapshot.timeouts.keep_alive;
        Box::pin(self.read_head(&mut session, &snapshot)).await?;
        self.exchange(&mut session, snapshot).await?;
        Box::pin(self.next_request(session, idle)).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_concurrent_streams(u32::try_from(self.streams).unwrap_or(u32::MAX));
        options.max_header_list_size(u32::try_from(self.header_bytes).unwrap_or(u32::MAX));
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
