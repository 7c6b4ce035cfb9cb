//! What every request shares: the snapshot of the configuration, metrics, logs, and whether the process is draining.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use mcp_gateway_core::{http::client_address::counted_as, rate::refusal_budget::RefusalBudget};
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use crate::{
    limits::{
        body_budget::Bodies, listening_streams::ListeningStreams, overload::Pressure,
        per_address::Places, rate_limiter::Rates,
    },
    snapshot::Snapshot,
    telemetry::{access_log::AccessLog, audit_log::AuditLog, metrics::Metrics},
};

/// How long to pause between two looks at whether the last connection has ended.
const IDLE_PAUSE: Duration = Duration::from_millis(10);

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
    audit_log: AuditLog,
    connections: Arc<Semaphore>,
    connection_limit: usize,
    listening: Arc<ListeningStreams>,
    bodies: Arc<Bodies>,
    places: Places,
    pressure: Pressure,
    refusals: Mutex<RefusalBudget>,
    rates: Rates,
    started: Instant,
    draining: watch::Sender<bool>,
    handed_over: watch::Sender<bool>,
    accepting: Arc<()>,
    cut: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    asked_issuers: AtomicBool,
    request_ids: RequestIds,
}

impl Gateway {
    /// A gateway that serves `snapshot`, with so many connections at most; not ready until [`Gateway::set_ready`].
    pub(crate) fn new(
        snapshot: Snapshot,
        connection_limit: usize,
        metrics: Arc<Metrics>,
        (access_log, audit_log): (AccessLog, AuditLog),
    ) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(connection_limit)),
            connection_limit,
            listening: Arc::default(),
            bodies: Arc::default(),
            places: Places::default(),
            pressure: Pressure::default(),
            refusals: Mutex::default(),
            rates: Rates::new(),
            started: Instant::now(),
            snapshot: ArcSwap::from_pointee(snapshot),
            metrics,
            access_log,
            audit_log,
            draining: watch::Sender::new(false),
            handed_over: watch::Sender::new(false),
            accepting: Arc::new(()),
            cut: watch::Sender::new(false),
            ready: watch::Sender::new(false),
            asked_issuers: AtomicBool::new(false),
            request_ids: RequestIds::new(),
        }
    }

    /// Puts another configuration to use, for requests that begin from now on.
    pub(crate) fn exchange(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
    }

    /// The configuration in use. A request loads it once and keeps it to its end.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn access_log(&self) -> &AccessLog {
        &self.access_log
    }

    pub(crate) const fn audit_log(&self) -> &AuditLog {
        &self.audit_log
    }

    /// One permit for each connection that may be open.
    pub(crate) fn connections(&self) -> Arc<Semaphore> {
        self.connections.clone()
    }

    /// The streams that only listen.
    pub(crate) fn listening(&self) -> &Arc<ListeningStreams> {
        &self.listening
    }

    /// The request bodies in memory.
    pub(crate) fn bodies(&self) -> &Arc<Bodies> {
        &self.bodies
    }

    /// The connections that each address has open.
    pub(crate) const fn places(&self) -> &Places {
        &self.places
    }

    /// What is short.
    pub(crate) const fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// The calls that rate limits count.
    pub(crate) const fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Counts a refusal against the address that caused it, unless none is counted there.
    pub(crate) fn count_refusal(&self, client: IpAddr) {
        let snapshot = self.snapshot.load();
        if snapshot.addresses.is_limited(client) {
            let per_minute = snapshot.limits.refusals_per_address;
            let client = counted_as(client);
            self.refusals()
                .spend(client, per_minute, self.started.elapsed());
        }
    }

    /// How long an address that caused too many refusals must wait until it is looked at with care again.
    pub(crate) fn refusal_wait(&self, client: IpAddr) -> Option<Duration> {
        let snapshot = self.snapshot.load();
        if !snapshot.addresses.is_limited(client) {
            return None;
        }
        let per_minute = snapshot.limits.refusals_per_address;
        let client = counted_as(client);
        self.refusals()
            .wait(client, per_minute, self.started.elapsed())
    }

    fn refusals(&self) -> MutexGuard<'_, RefusalBudget> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns true when no new connection is accepted any more.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        let mut draining = self.draining.subscribe();
        if *draining.borrow() {
            // A connection that was accepted in the last moment hears it too.
            draining.mark_changed();
        }
        draining
    }

    /// Whether new connections are refused and idle ones closed.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Stops accepting; requests under way go on.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Says that another process accepts on our sockets, the admin one included.
    pub(crate) fn hand_over(&self) {
        self.handed_over.send_replace(true);
    }

    /// Comes when another process accepts on our sockets.
    pub(crate) async fn is_handed_over(self: Arc<Self>) {
        // The sender lives as long as the gateway.
        let _ = self.handed_over.subscribe().wait_for(|over| *over).await;
    }

    /// Comes when connections that are still open must end.
    pub(crate) async fn is_cut(&self) {
        // The sender lives as long as the gateway.
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    /// Whether that has come.
    pub(crate) fn was_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Ends what is still open, so that each request is at least accounted for.
    pub(crate) fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Held by whoever holds listening sockets: while one does, the gateway is not idle.
    pub(crate) fn accepting(&self) -> Arc<()> {
        self.accepting.clone()
    }

    /// Waits until nobody holds listening sockets any more and the last connection has ended.
    ///
    /// It looks on and takes no permit: a connection that was accepted in the last moment needs one.
    pub(crate) async fn idle(&self) {
        while Arc::strong_count(&self.accepting) > 1
            || self.connections.available_permits() < self.connection_limit
        {
            sleep(IDLE_PAUSE).await;
        }
    }

    /// Whether the listeners are bound and the process is not about to end.
    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Whether every issuer has been asked once since the start. It stays so: an issuer that a reload brings keeps no
    /// traffic away from the others.
    pub(crate) fn has_asked_issuers(&self) -> bool {
        if !self.asked_issuers.load(Ordering::Relaxed) {
            let snapshot = self.snapshot();
            let tried = snapshot.keys.values().all(|keys| keys.was_tried());
            self.asked_issuers.store(tried, Ordering::Relaxed);
        }
        self.asked_issuers.load(Ordering::Relaxed)
    }

    /// Says whether traffic should come here.
    pub(crate) fn set_ready(&self, ready: bool) {
        self.ready.send_replace(ready);
    }

    /// A request id that no other request of this process has.
    pub(crate) fn request_id(&self) -> String {
        self.request_ids.next()
    }
}

/// Ids of 16 hexadecimal digits: a random start, then counting, spread so that neighbours do not look alike.
#[derive(Debug)]
struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids start at zero: they tell requests apart, they are no secret.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        Self {
            next: AtomicU64::new(u64::from_le_bytes(seed)),
        }
    }

    fn next(&self) -> String {
        /// Odd, so that multiplying by it maps 64 bits one to one (2^64 divided by the golden ratio).
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", count.wrapping_mul(SPREAD))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn request_ids_differ() {
        let ids = RequestIds::new();
        let made: HashSet<_> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.len() == 16));
    }
}
