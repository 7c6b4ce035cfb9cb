//! One client connection: its requests one after the other, each wait under its own deadline.
//!
//! There are three waits: for the first request (a silent client is closed by the header deadline, HTTP/2 clients
//! that never bring a whole request included), for the rest of a request's head (one deadline for the whole head, however it
//! drips), and for the next request of a kept connection (the keep-alive idle timeout).

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::BytesMut;
use mcp_gateway_core::refusal::reason::Reason;
use pingora::{
    apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    protocols::{
        ALPN, Stream,
        http::{ServerSession, v2::server::H2Options},
    },
    server::ShutdownWatch,
};
use tokio::{
    io::AsyncReadExt,
    sync::{Notify, OwnedSemaphorePermit, watch},
    time::{sleep, timeout},
};

use crate::{
    downstream::{
        head_allowance::HeadAllowance,
        http2_limits,
        peer::Peer,
        rejected::{RejectionCause, count_rejected},
    },
    request::{
        exchange::Exchange,
        pipeline,
        record::guard::RecordGuard,
        response::{relay, respond, write::within},
    },
};
use crate::{
    limits::per_address::AddressSlot, shared::Gateway, snapshot::Snapshot,
    telemetry::request_view::BrokenBy,
};

/// Room for the head of the next request on a kept connection, in bytes; a longer head makes it grow.
const NEXT_HEAD: usize = 4096;

/// How long a kept connection may still bring a request when the gateway drains: one that is on its way is answered, as
/// the connection's last, and not cut off.
const LAST_REQUEST_WAIT: Duration = Duration::from_secs(1);

/// Streams of one HTTP/2 connection that may be reset before they are answered, beyond those that are answered.
const MAX_RESET_STREAMS: usize = 100;

/// How long the frames of a broken answer have until the stream is reset.
const RESET_DELAY: Duration = Duration::from_millis(10);

/// One client connection; it holds its permit and its slot until it is dropped.
pub(crate) struct Connection {
    gateway: Arc<Gateway>,
    peer: Peer,
    options: HttpServerOptions,
    header_deadline: Duration,
    streams: usize,
    header_bytes: usize,
    head_allowance: Arc<HeadAllowance>,
    /// The host the client named in its TLS handshake.
    server_name: Option<String>,
    /// From before the handshake, so that an end that comes during it is not missed.
    draining: watch::Receiver<bool>,
    /// A first request has arrived.
    has_read_request: AtomicBool,
    /// Streams reset before they were answered, less those that were not.
    reset_streams: AtomicUsize,
    /// There were too many of them.
    too_many_resets: Notify,
    _permit: OwnedSemaphorePermit,
    /// Its slot of its address's limit, where there is one.
    _address_slot: Option<AddressSlot>,
}

impl Connection {
    pub(crate) fn new(gateway: Arc<Gateway>, peer: Peer, permit: OwnedSemaphorePermit) -> Self {
        let snapshot = gateway.snapshot();
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(snapshot.timeouts.keep_alive);
        Self {
            options,
            peer,
            header_deadline: snapshot.timeouts.header,
            streams: snapshot.limits.streams_per_connection,
            header_bytes: snapshot.limits.header_bytes,
            head_allowance: Arc::new(HeadAllowance::unlimited()),
            server_name: None,
            draining: gateway.process_state().draining(),
            has_read_request: AtomicBool::new(false),
            reset_streams: AtomicUsize::new(0),
            too_many_resets: Notify::new(),
            _permit: permit,
            _address_slot: None,
            gateway,
        }
    }

    /// Sets who is at the other end, and the slot of that address's limit.
    pub(crate) fn set_peer(&mut self, peer: Peer, slot: Option<AddressSlot>) {
        self.peer = peer;
        self._address_slot = slot;
    }

    /// What the transport counts against.
    pub(crate) fn head_allowance(&self) -> Arc<HeadAllowance> {
        self.head_allowance.clone()
    }

    /// Serves the connection to its end. `server_name` is the host the client named in its TLS handshake.
    pub(crate) async fn serve(mut self, stream: Stream, server_name: Option<String>) {
        self.server_name = server_name;
        let draining = self.draining.clone();
        let connection = Arc::new(self);
        let serve = async {
            match stream.selected_alpn_proto() {
                Some(ALPN::H2) => connection.serve_http2(stream, draining).await,
                _ => drop(connection.process_new(stream, &draining).await),
            }
        };
        tokio::select! {
            () = serve => {}
            () = connection.gateway.process_state().wait_for_cut() => {}
        }
    }

    /// Serves an HTTP/2 connection until it ends, brings no request, or is one of those that open streams to no purpose.
    async fn serve_http2(self: &Arc<Self>, stream: Stream, mut draining: watch::Receiver<bool>) {
        // Pingora sends GOAWAY when this turns true.
        let ending = watch::Sender::new(false);
        let watched = ending.subscribe();
        let too_many_resets = async {
            let has_too_many_resets = tokio::select! {
                () = self.too_many_resets.notified() => true,
                _ = draining.wait_for(|draining| *draining) => false,
            };
            ending.send_replace(true);
            match has_too_many_resets {
                true => sleep(RESET_DELAY).await,
                false => pending().await,
            }
        };
        tokio::select! {
            _ = self.process_new(stream, &watched) => {}
            () = too_many_resets => {
                tracing::debug!("HTTP/2 connection closed: the client reset too many streams");
            }
            () = self.wait_without_request() => {
                count_rejected(self.gateway.metrics(), RejectionCause::Silent);
            }
        }
    }

    /// Ends when the header deadline passes without a first request; never once there was one.
    async fn wait_without_request(&self) {
        sleep(self.header_deadline).await;
        if self.has_read_request.load(Ordering::Relaxed) {
            pending().await
        }
    }

    /// Counts the HTTP/2 requests that end without an answer. Streams that their client reset before there was an answer
    /// cost work that nobody wanted; a client that does little else is let go (rapid reset, CVE-2023-44487; streams that
    /// we are made to reset, CVE-2025-8671).
    fn count_reset_stream(&self, is_answered: bool) {
        let reset_streams = if is_answered {
            let less = |reset_streams: usize| Some(reset_streams.saturating_sub(1));
            let _ = self
                .reset_streams
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            return;
        } else {
            self.reset_streams.fetch_add(1, Ordering::Relaxed)
        };
        if reset_streams >= MAX_RESET_STREAMS {
            self.too_many_resets.notify_one();
        }
    }

    /// The head of the next request, or nothing when the client is gone or sent none that can be read.
    async fn read_head(&self, session: &mut ServerSession, snapshot: &Snapshot) -> Option<()> {
        // Twice the limit, since what is read last may hold a part of the body; the limit itself is judged later.
        let head_bytes = 2 * self.header_bytes + NEXT_HEAD;
        if !session.is_http2() {
            self.head_allowance.begin(head_bytes);
        }
        let read = timeout(snapshot.timeouts.header, session.read_request()).await;
        let is_too_large = self.head_allowance.is_used_up();
        // A kept connection is only read anew once its next head has begun.
        let has_begun = self.has_read_request.load(Ordering::Relaxed)
            || self.head_allowance.left() < head_bytes;
        self.head_allowance.end();
        match read {
            Ok(Ok(true)) => {
                self.has_read_request.store(true, Ordering::Relaxed);
                Some(())
            }
            Ok(Ok(false)) => None,
            // The error's text holds the raw head, credentials included: it is never printed.
            Ok(Err(error)) => {
                let reason = if is_too_large || has_too_many_fields(&error) {
                    Reason::HeadersTooLarge
                } else {
                    Reason::BadFraming
                };
                self.refuse_head(session, snapshot, reason).await
            }
            Err(_) if has_begun => {
                self.refuse_head(session, snapshot, Reason::HeaderDeadline)
                    .await
            }
            Err(_) => {
                count_rejected(self.gateway.metrics(), RejectionCause::Silent);
                None
            }
        }
    }

    async fn refuse_head(
        &self,
        session: &mut ServerSession,
        snapshot: &Snapshot,
        reason: Reason,
    ) -> Option<()> {
        let client = self.peer.client(None, &snapshot.addresses);
        let mut guard = RecordGuard::open(&self.gateway, client, None);
        respond::unreadable_head(session, &mut guard.record, &self.gateway, reason).await;
        guard.finish(session.body_bytes_sent());
        None
    }

    async fn exchange(&self, session: &mut ServerSession, snapshot: Arc<Snapshot>) -> Option<()> {
        session.set_write_timeout(Some(snapshot.timeouts.write_idle));
        session.set_read_timeout(None);
        if self.gateway.process_state().is_draining() {
            session.set_keepalive(None);
        }
        let head = session.req_header();
        let client = self.peer.client(Some(&head.headers), &snapshot.addresses);
        let mut guard = RecordGuard::open(&self.gateway, client, Some(head));
        // The decision's future is large and short-lived: it is gone before a stream starts.
        let server_name = self.server_name.as_deref();
        let (gateway, record) = (&*self.gateway, &mut guard.record);
        let mut exchange = Exchange::new(session, server_name, snapshot, gateway, record);
        let next = Box::pin(pipeline::run(&mut exchange)).await;
        let ended = match next {
            Ok(None) => Ok(()),
            Ok(Some(relay)) => {
                let metrics = gateway.metrics();
                Box::pin(relay::relay(relay, session, &mut guard.record, metrics)).await
            }
            Err(broken) => Err(broken),
        };
        if ended.is_err() {
            guard
                .record
                .set_broken_by(match gateway.process_state().is_cut() {
                    true => BrokenBy::Gateway,
                    false => BrokenBy::Client,
                });
        }
        if session.is_http2() {
            self.count_reset_stream(ended.is_ok() || session.response_written().is_some());
        }
        guard.finish(session.body_bytes_sent());
        if ended.is_err() {
            // What was relayed so far still goes out; without its end, the client sees that it was cut. An HTTP/2 reset
            // would overtake it.
            if session.is_http2() {
                sleep(RESET_DELAY).await;
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
        let finished = within(write_idle, session.finish()).await;
        // Bytes behind a request are no second request here: its answer is the connection's last.
        let (mut stream, _) = finished.ok()??.into_parts();
        let mut head = BytesMut::with_capacity(NEXT_HEAD);
        let mut draining = self.gateway.process_state().draining();
        let read = tokio::select! {
            read = timeout(idle, stream.read_buf(&mut head)) => read.ok()?.ok()?,
            () = wait_past_drain(&mut draining) => 0,
        };
        if read == 0 {
            stream.shutdown().await;
            return None;
        }
        settings.set_pipelined_prefix(head);
        Some(ReusedHttpStream::new(stream, Some(settings)))
    }
}

/// Ends [`LAST_REQUEST_WAIT`] after the gateway has begun to drain.
async fn wait_past_drain(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway.
    let _ = draining.wait_for(|draining| *draining).await;
    sleep(LAST_REQUEST_WAIT).await;
}

/// Pingora's parser has room for 256 fields, whatever the limit; only this cause in its error says so.
fn has_too_many_fields(error: &pingora::Error) -> bool {
    let cause = error.cause.as_ref();
    cause.is_some_and(|cause| cause.to_string() == "too many headers")
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
        Some(http2_limits::options(self.streams, self.header_bytes))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
