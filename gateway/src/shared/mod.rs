//! What all requests share: the configuration snapshot, metrics, logs, limits, and the state of the process.

pub(crate) mod message_streams;
mod process_state;
mod refusals;
mod request_ids;
#[cfg(test)]
pub(crate) mod test_gateway;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use mcp_gateway_core::{
    http::client_address::{ClientAddress, CountedAddress},
    principal::Subject,
};
use prometheus::IntCounter;
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};

use crate::shared::process_state::ProcessState;
use crate::{
    assertion::keys::AssertionKeys,
    authorization_server::revocations::Revocations,
    limits::{
        accounts::{Accounts, AddressAccount},
        body_budget::BodyBudget,
        in_flight::InFlight,
        overload::Overload,
        per_address::ConnectionsPerAddress,
        rate_limiter::RateLimiter,
        shared_rates::SharedRates,
        used_proofs::UsedProofs,
    },
    snapshot::Snapshot,
    telemetry::{
        metrics::Metrics,
        request_log::{access_log::AccessLog, audit_log::AuditLog},
    },
};
use message_streams::MessageStreams;
use refusals::RefusalsPerAddress;
pub(crate) use request_ids::RequestId;
use request_ids::RequestIds;

/// How long to pause between two checks whether the last connection has closed.
const IDLE_PAUSE: Duration = Duration::from_millis(10);

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    /// The same one, for open listening streams, which wait for the next one.
    snapshots: watch::Sender<Arc<Snapshot>>,
    metrics: Arc<Metrics>,
    access_log: AccessLog,
    audit_log: AuditLog,
    connections: Arc<Semaphore>,
    connection_limit: usize,
    subjects: Arc<Accounts<Subject>>,
    addresses: Arc<Accounts<CountedAddress>>,
    in_flight: Arc<InFlight>,
    body_budget: Arc<BodyBudget>,
    connections_per_address: ConnectionsPerAddress,
    overload: Overload,
    refusals: RefusalsPerAddress,
    /// Wrong credentials at the service of the gateway's own.
    wrong_credentials: RefusalsPerAddress,
    rate_limiter: RateLimiter,
    used_proofs: UsedProofs,
    shared_rates: Option<SharedRates>,
    revocations: Arc<Revocations>,
    message_streams: Arc<MessageStreams>,
    state: ProcessState,
    has_asked_once: AtomicBool,
    request_ids: RequestIds,
}

impl Gateway {
    /// A gateway that serves `snapshot`, with at most this many connections; not ready until
    /// [`ProcessState::start_serving`].
    pub(crate) fn new(
        snapshot: Snapshot,
        connection_limit: usize,
        metrics: Arc<Metrics>,
        (access_log, audit_log): (AccessLog, AuditLog),
    ) -> Self {
        let snapshot = Arc::new(snapshot);
        Self {
            connections: Arc::new(Semaphore::new(connection_limit)),
            connection_limit,
            subjects: Arc::default(),
            addresses: Arc::default(),
            in_flight: Arc::default(),
            body_budget: Arc::default(),
            connections_per_address: ConnectionsPerAddress::default(),
            overload: Overload::default(),
            refusals: RefusalsPerAddress::new(),
            wrong_credentials: RefusalsPerAddress::new(),
            rate_limiter: RateLimiter::new(),
            used_proofs: UsedProofs::default(),
            shared_rates: None,
            revocations: snapshot
                .authorization_server
                .as_ref()
                .map_or_else(Arc::default, |server| server.revocations().clone()),
            snapshots: watch::Sender::new(snapshot.clone()),
            snapshot: ArcSwap::new(snapshot),
            metrics,
            access_log,
            audit_log,
            message_streams: Arc::new(MessageStreams::new()),
            state: ProcessState::new(),
            has_asked_once: AtomicBool::new(false),
            request_ids: RequestIds::new(),
        }
    }

    /// The same, with rate limits that several gateways count together.
    pub(crate) fn with_shared_rates(self, shared_rates: Option<SharedRates>) -> Self {
        Self {
            shared_rates,
            ..self
        }
    }

    /// Replaces the configuration for requests that begin from now on. Open listening streams are judged again.
    pub(crate) fn exchange(&self, snapshot: Arc<Snapshot>) {
        snapshot.activate();
        self.snapshot.store(snapshot.clone());
        self.snapshots.send_replace(snapshot);
    }

    /// The configuration in use, and those that follow.
    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// The configuration in use. A request loads it once and uses it until its end.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The keys that sign assertions now, whatever a request began with.
    pub(crate) fn assertion_keys(&self) -> Option<Arc<AssertionKeys>> {
        self.snapshot.load().assertion_keys().cloned()
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

    /// The accounts of subjects.
    pub(crate) const fn subject_accounts(&self) -> &Arc<Accounts<Subject>> {
        &self.subjects
    }

    /// The account of a client address. No address is exempt.
    pub(crate) fn address_account(&self, client: ClientAddress) -> Arc<AddressAccount> {
        self.addresses.of(client.counted())
    }

    /// The calls in flight, and the open listening streams.
    pub(crate) const fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Sets the metrics of what all callers share.
    pub(crate) fn observe_pools(&self) {
        let (snapshot, metrics) = (self.snapshot(), &self.metrics);
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.calls_in_flight.set(whole(self.in_flight.calls()));
        metrics.calls_limit.set(whole(snapshot.capacity.calls));
        metrics.dpop_proofs.set(whole(self.used_proofs.len()));
        metrics.body_bytes.set(whole(self.body_budget.bytes()));
        metrics.body_bytes_limit.set(whole(snapshot.bodies.all));
        metrics.endpoint_calls_in_flight.reset();
        metrics.endpoint_usable.reset();
        metrics.endpoint_calls_waiting.reset();
        for upstream in snapshot.upstreams() {
            upstream.set().observe();
        }
        if let Some(rates) = &self.shared_rates {
            let failures = &metrics.rate_limit_store_failures;
            failures.inc_by(rates.failures().saturating_sub(failures.get()));
            metrics.observe_store("rate_limits", rates.is_connected());
        }
        if let Some(server) = &snapshot.authorization_server {
            let figures = server.store().figures();
            let raise = |counter: &IntCounter, count: u64| {
                counter.inc_by(count.saturating_sub(counter.get()));
            };
            raise(&metrics.oauth_store_commits, figures.commits());
            raise(&metrics.oauth_store_changes, figures.changes());
            raise(&metrics.oauth_store_failures, figures.failures());
            metrics.oauth_store_waiting.set(whole(figures.waiting()));
            raise(&metrics.oauth_store_round_trips, figures.round_trips());
            raise(&metrics.oauth_store_conflicts, figures.conflicts());
            raise(&metrics.oauth_store_connections_lost, figures.losses());
            if server.store().is_shared() {
                metrics.observe_store("authorization_server", figures.is_connected());
            }
        }
    }

    /// The bytes of all bodies in memory.
    pub(crate) fn body_budget(&self) -> &Arc<BodyBudget> {
        &self.body_budget
    }

    /// The connections that each address has open.
    pub(crate) const fn connections_per_address(&self) -> &ConnectionsPerAddress {
        &self.connections_per_address
    }

    /// Which of descriptors and memory is low.
    pub(crate) const fn overload(&self) -> &Overload {
        &self.overload
    }

    /// The rate limits.
    pub(crate) const fn rate_limiter(&self) -> &RateLimiter {
        &self.rate_limiter
    }

    /// The DPoP proofs that were used at resources.
    pub(crate) const fn used_proofs(&self) -> &UsedProofs {
        &self.used_proofs
    }

    /// Rate limits that several gateways count together, if they do.
    pub(crate) const fn shared_rates(&self) -> Option<&SharedRates> {
        self.shared_rates.as_ref()
    }

    /// Grants of the built-in authorization server that have ended.
    pub(crate) const fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// The open event streams of HTTP+SSE.
    pub(crate) const fn message_streams(&self) -> &Arc<MessageStreams> {
        &self.message_streams
    }

    /// Counts a refusal against the address that caused it, unless the address is exempt.
    pub(crate) fn count_refusal(&self, client: ClientAddress) {
        let snapshot = self.snapshot.load();
        if let Some(counted) = snapshot.addresses.counted(client) {
            self.refusals
                .count(counted, snapshot.limits.refusals_per_address);
        }
    }

    /// How long an address that caused too many refusals must wait before signatures are verified for it again.
    pub(crate) fn refusal_wait(&self, client: ClientAddress) -> Option<Duration> {
        let snapshot = self.snapshot.load();
        let counted = snapshot.addresses.counted(client)?;
        self.refusals
            .wait(counted, snapshot.limits.refusals_per_address)
    }

    /// Counts wrong credentials at a service of the gateway's own against the address that sent them, unless it is exempt. They do
    /// not count as refusals of MCP requests, and those do not count here.
    pub(crate) fn count_wrong_credentials(&self, client: ClientAddress, per_minute: u32) {
        if let Some(counted) = self.snapshot.load().addresses.counted(client) {
            self.wrong_credentials.count(counted, per_minute);
        }
    }

    /// How long an address that sent too many wrong credentials must wait before further ones are answered.
    pub(crate) fn wrong_credentials_wait(
        &self,
        client: ClientAddress,
        per_minute: u32,
    ) -> Option<Duration> {
        let counted = self.snapshot.load().addresses.counted(client)?;
        self.wrong_credentials.wait(counted, per_minute)
    }

    /// The state of the process.
    pub(crate) const fn process_state(&self) -> &ProcessState {
        &self.state
    }

    /// Waits until no listening socket is held and the last connection has closed.
    ///
    /// It takes no permit itself: a connection that was accepted at the last moment needs one.
    pub(crate) async fn wait_until_idle(&self) {
        while self.state.is_accepting()
            || self.connections.available_permits() < self.connection_limit
        {
            sleep(IDLE_PAUSE).await;
        }
    }

    /// Whether the keys of every issuer of a resource were requested, and every name of an upstream was looked up, once since the
    /// start. It stays true: what a reload adds does not make the process unready for the others.
    pub(crate) fn has_asked(&self) -> bool {
        if !self.has_asked_once.load(Ordering::Relaxed) {
            let snapshot = self.snapshot();
            let mut needed = snapshot.keys.values().filter(|keys| keys.are_for_calls());
            let tried = needed.all(|keys| keys.was_tried());
            let mut upstreams = snapshot.upstreams();
            let resolved = upstreams.all(|upstream| upstream.set().was_tried());
            self.has_asked_once
                .store(tried && resolved, Ordering::Relaxed);
        }
        self.has_asked_once.load(Ordering::Relaxed)
    }

    /// A request id that is unique in this process.
    pub(crate) fn request_id(&self) -> RequestId {
        self.request_ids.next()
    }
}
