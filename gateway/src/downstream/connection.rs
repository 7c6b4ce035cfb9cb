//! One client connection: its requests, one after the other. Each wait has its own deadline.
//!
//! There are three waits. For the first request: a client that sends nothing, or an HTTP/2 client that never sends a whole
//! request, is closed by the header deadline. For the rest of a request's head: one deadline for the whole head, even if it
//! arrives byte by byte. For the next request of a persistent connection: the keep-alive idle timeout.

use std::{
    future::{pending, poll_fn},
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use mcp_gateway_core::{http::client_address::ClientAddress, refusal::reason::Reason};
use pingora::{
    apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp},
    protocols::{
        ALPN, Stream,
        http::{ServerSession, v2::server::H2Options},
    },
    server::ShutdownWatch,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    time::{sleep, timeout},
};

use crate::{
    client_session::{
        ClientSession, HeadFault,
        http1::{HEAD_READ, poll_read},
    },
    limits::per_address::AddressSlot,
    shared::Gateway,
    snapshot::Snapshot,
    telemetry::{log_interval::LogInterval, request_view::BrokenBy},
    time_limit::limited,
};
use crate::{
    downstream::{
        head_allowance::HeadAllowance,
        http2_limits,
        open_streams::OpenStreams,
        peer::Peer,
        rejected::{RejectionCause, count_rejected},
    },
    request::{
        exchange::{Broken, Exchange},
        pipeline,
        record::{Record, client::Client, guard::RecordGuard},
        response::{
            relay::{self, Relay},
            respond,
            write::client_side::{BareStream, RESET_DELAY},
        },
        tls_info::TlsInfo,
    },
};

/// How long an idle connection may still send a request when the gateway drains. A request that is already on its way is
/// answered, as the last one of the connection.
const LAST_REQUEST_WAIT: Duration = Duration::from_secs(1);

/// Streams of one HTTP/2 connection that may be reset before they are answered, in excess of those that are answered.
const MAX_RESET_STREAMS: usize = 100;

/// What is left of a request.
enum Rest<'a> {
    /// Its answer is written; this is its session.
    Nothing(Box<ClientSession>),
    /// The rest of an event stream, without a session.
    Stream(Box<Streaming<'a>>),
}

/// An event stream after the head of its answer.
struct Streaming<'a> {
    relay: Relay,
    client: BareStream,
    guard: Box<RecordGuard<'a>>,
}

/// One client connection; it holds its permit and its slot until it is dropped.
pub(crate) struct Connection {
    gateway: Arc<Gateway>,
    peer: Peer,
    options: HttpServerOptions,
    keep_alive: Duration,
    /// Those of HTTP/2.
    open_streams: OpenStreams,
    header_deadline: Duration,
    streams: usize,
    header_bytes: usize,
    head_allowance: Arc<HeadAllowance>,
    /// The host the client named in its TLS handshake.
    tls: TlsInfo,
    /// Subscribed before the handshake, so that a drain that begins during it is not missed.
    draining: watch::Receiver<bool>,
    /// A first request has arrived.
    has_read_request: AtomicBool,
    /// Streams reset before they were answered, minus streams that were answered.
    reset_streams: AtomicUsize,
    /// [`MAX_RESET_STREAMS`] was exceeded.
    too_many_resets: Notify,
    _permit: OwnedSemaphorePermit,
    /// Its slot of its address's limit, where there is one.
    _address_slot: Option<AddressSlot>,
}

impl Connection {
    pub(crate) fn new(gateway: Arc<Gateway>, peer: Peer, permit: OwnedSemaphorePermit) -> Self {
        let snapshot = gateway.snapshot();
        Self {
            options: HttpServerOptions::default(),
            peer,
            keep_alive: snapshot.timeouts.keep_alive,
            open_streams: OpenStreams::new(),
            header_deadline: snapshot.timeouts.header,
            streams: snapshot.limits.streams_per_connection,
            header_bytes: snapshot.limits.header_bytes,
            head_allowance: Arc::new(HeadAllowance::unlimited()),
            tls: TlsInfo::default(),
            draining: gateway.process_state().draining(),
            has_read_request: AtomicBool::new(false),
            reset_streams: AtomicUsize::new(0),
            too_many_resets: Notify::new(),
            _permit: permit,
            _address_slot: None,
            gateway,
        }
    }

    /// Sets the peer, and the slot of that address's limit.
    pub(crate) fn set_peer(&mut self, peer: Peer, slot: Option<AddressSlot>) {
        self.peer = peer;
        self._address_slot = slot;
    }

    /// The client's address.
    pub(crate) const fn address(&self) -> ClientAddress {
        self.peer.address()
    }

    /// The allowance that the transport counts against.
    pub(crate) fn head_allowance(&self) -> Arc<HeadAllowance> {
        self.head_allowance.clone()
    }

    /// Serves the connection until it closes. `tls` is what its TLS handshake said.
    pub(crate) async fn serve(mut self: Box<Self>, stream: Stream, tls: TlsInfo) {
        self.tls = tls;
        let connection: Arc<Self> = Arc::from(self);
        let serve = async {
            match stream.selected_alpn_proto() {
                Some(ALPN::H2) => Box::pin(connection.serve_http2(stream)).await,
                _ => connection.serve_http1(stream).await,
            }
        };
        tokio::select! {
            () = serve => {}
            () = connection.gateway.process_state().wait_for_cut() => {}
        }
    }

    /// Serves an HTTP/1.1 connection, one request after the other. While it waits, the connection holds only what it waits with.
    async fn serve_http1(&self, stream: Stream) {
        let mut session = Box::new(ClientSession::http1(stream, Bytes::new()));
        loop {
            let next = match Box::pin(self.request(session)).await {
                Some(Rest::Nothing(session)) => Box::pin(self.finish(session)).await,
                Some(Rest::Stream(streaming)) => Box::pin(self.stream(streaming)).await,
                None => None,
            };
            let Some(stream) = next else {
                return;
            };
            let Some((stream, begun)) = Box::pin(self.next_request(stream)).await else {
                return;
            };
            session = Box::new(ClientSession::http1(stream, begun));
        }
    }

    /// Reads a request and answers it, up to the rest of an event stream; none if the connection is to close.
    async fn request<'a>(&'a self, mut session: Box<ClientSession>) -> Option<Rest<'a>> {
        let snapshot = self.gateway.snapshot();
        self.read_head(&mut session, &snapshot).await?;
        let (mut guard, next) = self.answer(&mut session, snapshot).await;
        let next = match next {
            Ok(Some(relay)) if relay.is_stream() && session.is_open_ended() => {
                return self.leave(*session, relay, guard).map(Rest::Stream);
            }
            next => next,
        };
        let ended = self.relay(next, &mut session, &mut guard.record).await;
        if session.is_http2() {
            self.count_reset_stream(ended.is_ok() || session.is_answered());
        }
        guard.finish(session.body_bytes_sent());
        if ended.is_err() {
            // The data relayed so far is still sent. Without the final frame, the client sees that the answer is incomplete.
            if session.is_http2() {
                sleep(RESET_DELAY).await;
            }
            session.shutdown().await;
            return None;
        }
        Some(Rest::Nothing(session))
    }

    /// Leaves the session of an event stream.
    fn leave<'a>(
        &self,
        session: ClientSession,
        relay: Relay,
        mut guard: Box<RecordGuard<'a>>,
    ) -> Option<Box<Streaming<'a>>> {
        let Ok(client) = BareStream::leave(session) else {
            self.note_broken(&mut guard.record);
            guard.finish(0);
            return None;
        };
        Some(Box::new(Streaming {
            relay,
            client,
            guard,
        }))
    }

    /// Relays the rest of an event stream. Returns what the connection continues with.
    async fn stream(&self, mut streaming: Box<Streaming<'_>>) -> Option<Stream> {
        let Streaming {
            relay,
            client,
            guard,
        } = &mut *streaming;
        let metrics = self.gateway.metrics();
        let ended = relay::relay(relay, client, &mut guard.record, metrics).await;
        let Streaming {
            relay,
            client,
            mut guard,
        } = *streaming;
        drop(relay);
        if ended.is_err() {
            self.note_broken(&mut guard.record);
        }
        guard.finish(client.body_bytes());
        Box::pin(client.end(ended.is_ok())).await
    }

    /// Ends a request whose answer is complete. Returns what the connection continues with.
    async fn finish(&self, session: Box<ClientSession>) -> Option<Stream> {
        let write_idle = session.write_deadline();
        match *session {
            ClientSession::Http1(session) => limited(write_idle, session.finish()).await.ok()?,
            ClientSession::Http2(mut session) => {
                let _ = session.finish();
                None
            }
        }
    }

    /// Serves an HTTP/2 connection until it closes, sends no request in time, or resets too many streams.
    async fn serve_http2(self: &Arc<Self>, stream: Stream) {
        let mut draining = self.draining.clone();
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
            () = self.open_streams.idle_for(self.keep_alive) => {}
        }
    }

    /// Returns when the header deadline passes without a first request; never after one.
    async fn wait_without_request(&self) {
        sleep(self.header_deadline).await;
        if self.has_read_request.load(Ordering::Relaxed) {
            pending().await
        }
    }

    /// Counts HTTP/2 requests that end without an answer. A stream that the client resets before its answer costs work for
    /// nothing, so a connection with too many of them is closed (rapid reset, CVE-2023-44487; streams that the server is
    /// made to reset, CVE-2025-8671).
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

    /// The head of the next request; none when the client disconnected or sent a head that cannot be read.
    async fn read_head(&self, session: &mut ClientSession, snapshot: &Snapshot) -> Option<()> {
        // Twice the limit, because the last read may include a part of the body. The limit itself is checked later.
        let head_bytes = 2 * self.header_bytes + HEAD_READ;
        if !session.is_http2() {
            self.head_allowance.begin(head_bytes);
        }
        let read = limited(snapshot.timeouts.header, session.read_head()).await;
        let is_too_large = self.head_allowance.is_used_up();
        // On a persistent connection, the session reads only after the next head has begun.
        let has_begun = self.has_read_request.load(Ordering::Relaxed)
            || self.head_allowance.left() < head_bytes;
        self.head_allowance.end();
        match read {
            Ok(Ok(true)) => {
                self.has_read_request.store(true, Ordering::Relaxed);
                Some(())
            }
            Ok(Ok(false)) => None,
            Ok(Err(fault)) => {
                let reason = match fault {
                    HeadFault::TooManyFields => Reason::HeadersTooLarge,
                    _ if is_too_large => Reason::HeadersTooLarge,
                    _ => Reason::BadFraming,
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
        session: &mut ClientSession,
        snapshot: &Snapshot,
        reason: Reason,
    ) -> Option<()> {
        let client = self.peer.client(None, &snapshot.addresses);
        let mut guard = RecordGuard::open(&self.gateway, client, None);
        let record = &mut guard.record;
        respond::unreadable_head(session, record, &self.gateway, reason).await;
        guard.finish(session.body_bytes_sent());
        None
    }

    /// Answers a request whose head has been read. The rest of the answer may still have to be relayed.
    async fn answer<'a>(
        &'a self,
        session: &mut ClientSession,
        snapshot: Arc<Snapshot>,
    ) -> (Box<RecordGuard<'a>>, Result<Option<Relay>, Broken>) {
        session.set_write_deadline(snapshot.timeouts.write_idle);
        if self.gateway.process_state().is_draining() {
            session.close_afterwards();
        }
        let head = session.req_header();
        let client = self.peer.client(Some(&head.headers), &snapshot.addresses);
        if let Client::Unknown { peer } = client {
            note_unknown_client(peer);
        }
        let mut guard = RecordGuard::open(&self.gateway, client, Some(head));
        // The future of the decision is large. It is dropped before a stream starts.
        let (gateway, record) = (&*self.gateway, &mut guard.record);
        let certificate = self.peer.certificate(&self.tls, &snapshot.addresses);
        let tls = (&self.tls, certificate);
        let mut exchange = Exchange::new(session, tls, snapshot, gateway, record);
        let next = Box::pin(pipeline::run(&mut exchange)).await;
        drop(exchange);
        (guard, next)
    }

    /// Relays the rest of an answer, if there is any.
    async fn relay(
        &self,
        next: Result<Option<Relay>, Broken>,
        session: &mut ClientSession,
        record: &mut Record,
    ) -> Result<(), Broken> {
        let ended = match next {
            Ok(None) => Ok(()),
            Ok(Some(mut rest)) => {
                let metrics = self.gateway.metrics();
                Box::pin(relay::relay(&mut rest, session, record, metrics)).await
            }
            Err(broken) => Err(broken),
        };
        if ended.is_err() {
            self.note_broken(record);
        }
        ended
    }

    /// Records who ended an answer before it was complete, if that is not known yet.
    fn note_broken(&self, record: &mut Record) {
        record.set_broken_by(match self.gateway.process_state().is_cut() {
            true => BrokenBy::Gateway,
            false => BrokenBy::Client,
        });
    }

    /// Waits for the next request on a persistent connection, without a session in memory.
    async fn next_request(&self, mut stream: Stream) -> Option<(Stream, Bytes)> {
        let idle = self.gateway.snapshot().timeouts.keep_alive;
        let mut draining = self.gateway.process_state().draining();
        let next = poll_fn(|cx| poll_read::<HEAD_READ>(&mut stream, cx));
        let begun = tokio::select! {
            read = timeout(idle, next) => read.ok()?.ok()?,
            () = wait_past_drain(&mut draining) => Bytes::new(),
        };
        if begun.is_empty() {
            stream.shutdown().await;
            return None;
        }
        Some((stream, begun))
    }
}

fn note_unknown_client(proxy: IpAddr) {
    /// Time between two log lines.
    static INTERVAL: LogInterval = LogInterval::every(Duration::from_secs(60));
    if let Some(count) = INTERVAL.count_due() {
        tracing::warn!(
            count,
            %proxy,
            "client address unknown: a trusted proxy named no address that can be read (trusted_proxies, forwarded_header)"
        );
    }
}

/// Returns [`LAST_REQUEST_WAIT`] after the gateway has begun to drain.
async fn wait_past_drain(draining: &mut watch::Receiver<bool>) {
    // The sender lives as long as the gateway.
    let _ = draining.wait_for(|draining| *draining).await;
    sleep(LAST_REQUEST_WAIT).await;
}

/// One request of an HTTP/2 connection.
async fn serve_http2_stream(connection: &Connection, session: Box<ClientSession>) {
    let _open = connection.open_streams.open();
    match Box::pin(connection.request(session)).await {
        Some(Rest::Nothing(session)) => drop(Box::pin(connection.finish(session)).await),
        Some(Rest::Stream(streaming)) => {
            // Its head was written, so it was answered.
            connection.count_reset_stream(true);
            drop(Box::pin(connection.stream(streaming)).await);
        }
        None => {}
    }
}

impl HttpServerApp for Connection {
    // Not an `async fn`: its future would hold the session twice.
    fn process_new_http<'a, 'b, 'c>(
        self: &'a Arc<Self>,
        session: ServerSession,
        _: &'b ShutdownWatch,
    ) -> Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let session = match session {
            ServerSession::H2(session) => Some(Box::new(ClientSession::Http2(session))),
            _ => None,
        };
        Box::pin(async move {
            serve_http2_stream(self, session?).await;
            None
        })
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(http2_limits::options(self.streams, self.header_bytes))
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

#[cfg(test)]
mod tests {
    use test_support::{future_bytes, uncalled, within_budget};

    use super::Connection;

    #[test]
    fn the_futures_of_a_connection_are_within_their_budgets() {
        let connection =
            future_bytes(|| uncalled::<Box<Connection>>().serve(uncalled(), uncalled()));
        within_budget("future_connection", connection);
        let itself = uncalled::<&Connection>;
        let request = future_bytes(|| itself().request(uncalled()));
        within_budget("future_request", request);
        let stream = future_bytes(|| itself().stream(uncalled()));
        within_budget("future_stream", stream);
        let next = future_bytes(|| itself().next_request(uncalled()));
        within_budget("future_next_request", next);
    }
}
