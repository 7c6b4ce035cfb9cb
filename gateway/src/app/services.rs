//! Background services, each on its own thread.

use std::sync::Arc;

use async_trait::async_trait;
use pingora::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use tokio::sync::mpsc;

use crate::{
    authorization_server::tasks,
    config::BUILT_IN,
    issuer_keys::{
        keys::IssuerKeys,
        refresher::{self, RefreshOrder},
    },
    limits::overload::{activity::ACTIVITY, memory},
    shared::Gateway,
    telemetry::authorization_event::AuthorizationEvent,
    upstream::{Lookup, Upstream, Watch},
};

/// Refreshes the keys of all issuers on its own thread, so a slow issuer does not delay requests.
pub(crate) struct KeyRefresher {
    /// The first keys, and the channel of later orders; taken at start.
    work: Option<(Vec<Arc<IssuerKeys>>, mpsc::Receiver<RefreshOrder>)>,
}

impl KeyRefresher {
    pub(crate) fn new(gateway: &Gateway, orders: mpsc::Receiver<RefreshOrder>) -> Self {
        let first = gateway.snapshot().keys.values().cloned().collect();
        Self {
            work: Some((first, orders)),
        }
    }
}

#[async_trait]
impl Service for KeyRefresher {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some((first, orders)) = self.work.take() {
            refresher::refresh_keys(first, orders).await;
        }
    }

    fn name(&self) -> &str {
        "keys"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

/// What the built-in authorization server does beside requests, on its own thread.
pub(crate) struct AuthorizationTasks {
    gateway: Arc<Gateway>,
}

impl AuthorizationTasks {
    pub(crate) const fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

#[async_trait]
impl Service for AuthorizationTasks {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let Some(server) = self.gateway.snapshot().authorization_server.clone() else {
            return;
        };
        let keys = || self.gateway.snapshot().keys.get(BUILT_IN).cloned();
        let gateway = self.gateway.clone();
        let note = move |event: &AuthorizationEvent| gateway.audit_log().note_authorization(event);
        let current = || self.gateway.snapshot().authorization_server.clone();
        let reloads = self.gateway.snapshots();
        tasks::run(server, keys, (current, reloads), Arc::new(note)).await;
    }

    fn name(&self) -> &str {
        "authorization"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

/// Watches the memory use on its own thread: this matters most while the gateway is busy.
pub(crate) struct MemoryWatch {
    gateway: Arc<Gateway>,
}

impl MemoryWatch {
    pub(crate) const fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }
}

#[async_trait]
impl Service for MemoryWatch {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let granted = memory::cgroup_limit();
        let limit = || self.gateway.snapshot().limits.memory.or(granted);
        memory::watch(self.gateway.overload(), &ACTIVITY, limit).await;
    }

    fn name(&self) -> &str {
        "memory"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

/// Resolves the names of upstreams and checks their endpoints, on its own thread.
pub(crate) struct EndpointWatch {
    gateway: Arc<Gateway>,
    lookup: Lookup,
}

impl EndpointWatch {
    pub(crate) const fn new(gateway: Arc<Gateway>, lookup: Lookup) -> Self {
        Self { gateway, lookup }
    }
}

#[async_trait]
impl Service for EndpointWatch {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        let mut snapshots = self.gateway.snapshots();
        let mut finishing = self.gateway.process_state().finishing();
        let mut watch = Watch::new(self.lookup.clone());
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            watch.follow(snapshot.upstreams().map(Upstream::watched));
            drop(snapshot);
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() { break },
                _ = finishing.wait_for(|finishing| *finishing) => break,
            }
        }
        watch.end().await;
    }

    fn name(&self) -> &str {
        "endpoints"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}
