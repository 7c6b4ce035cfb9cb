//! Notifications to clients when a task changes.
//!
//! A legacy client subscribes with `resources/subscribe` and is notified on its session's event stream. A modern client keeps
//! a `subscriptions/listen` request open and is notified on its answer. Both get a new task as a changed list.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use rmcp::{
    ErrorData, Peer, RoleServer, ServiceError,
    model::{ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{SubscriptionSendError, SubscriptionSink},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::AbortHandle,
};

use crate::{TaskStore, features::resources::ResourceUri, tasks::store::Change};

/// How many resources one session or stream may subscribe to.
const MAX_SUBSCRIPTIONS: usize = 256;

type Uris = BTreeSet<ResourceUri>;

/// The subscriptions of a legacy session.
#[derive(Debug, Default)]
pub(crate) struct SessionSubscriptions {
    wanted: Arc<Mutex<Uris>>,
    forwarder: OnceLock<Forwarder>,
}

impl SessionSubscriptions {
    /// Starts to notify the client; a second call changes nothing.
    pub(crate) fn start(&self, store: &TaskStore, peer: Peer<RoleServer>) {
        self.forwarder.get_or_init(|| {
            let changes = store.changes();
            let wanted = Arc::clone(&self.wanted);
            Forwarder(tokio::spawn(forward(changes, wanted, peer)).abort_handle())
        });
    }

    /// Subscribes the client to one more resource.
    pub(crate) fn add(&self, uri: ResourceUri) -> Result<(), ErrorData> {
        let mut wanted = lock(&self.wanted);
        if wanted.len() >= MAX_SUBSCRIPTIONS && !wanted.contains(&uri) {
            let message = format!("a session subscribes to at most {MAX_SUBSCRIPTIONS} resources");
            return Err(ErrorData::invalid_request(message, None));
        }
        wanted.insert(uri);
        Ok(())
    }

    /// Ends one subscription, if there is one.
    pub(crate) fn remove(&self, uri: ResourceUri) {
        lock(&self.wanted).remove(&uri);
    }
}

/// The work that ends with its session.
#[derive(Debug)]
struct Forwarder(AbortHandle);

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn forward(mut changes: Receiver<Change>, wanted: Arc<Mutex<Uris>>, peer: Peer<RoleServer>) {
    while let Some(change) = next(&mut changes).await {
        let notice = Notice::new(change, &lock(&wanted));
        if notify_peer(&peer, notice).await.is_err() {
            return;
        }
    }
}

async fn notify_peer(peer: &Peer<RoleServer>, notice: Notice) -> Result<(), ServiceError> {
    if notice.list_changed {
        peer.notify_resource_list_changed().await?;
    }
    for uri in notice.updated {
        peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri.to_string()))
            .await?;
    }
    Ok(())
}

/// The one subscription stream of a modern request.
#[derive(Debug, Default)]
pub(crate) struct ModernStream {
    /// Made before the client learns that it is subscribed, so that it misses no later change.
    changes: Mutex<Option<Receiver<Change>>>,
}

impl ModernStream {
    /// The part of a request that can be served: resources that exist, and changes of the list.
    pub(crate) fn accept(
        &self,
        store: &TaskStore,
        requested: &SubscriptionFilter,
    ) -> SubscriptionFilter {
        *lock(&self.changes) = Some(store.changes());
        let tasks = store.tasks();
        let exists = |uri: &&String| ResourceUri::existing(&tasks, uri).is_ok();
        let mut accepted = SubscriptionFilter::new();
        accepted.resources_list_changed = requested.resources_list_changed;
        accepted.resource_subscriptions = requested.resource_subscriptions.as_ref().map(|uris| {
            uris.iter()
                .filter(exists)
                .take(MAX_SUBSCRIPTIONS)
                .cloned()
                .collect()
        });
        accepted
    }

    /// Notifies the client of every change that it subscribed to, until it disconnects.
    pub(crate) async fn run(&self, store: &TaskStore, sink: &SubscriptionSink) {
        let subscribed = lock(&self.changes).take();
        let mut changes = subscribed.unwrap_or_else(|| store.changes());
        let uris = sink.accepted().resource_subscriptions.iter().flatten();
        let wanted = uris
            .filter_map(|uri| ResourceUri::parse(uri).ok())
            .collect();
        while let Some(change) = next(&mut changes).await {
            if notify_sink(sink, Notice::new(change, &wanted))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

async fn notify_sink(sink: &SubscriptionSink, notice: Notice) -> Result<(), SubscriptionSendError> {
    if notice.list_changed && sink.accepted().resources_list_changed == Some(true) {
        sink.notify_resource_list_changed().await?;
    }
    for uri in notice.updated {
        sink.notify_resource_updated(uri.to_string()).await?;
    }
    Ok(())
}

/// The notifications to a client after a change.
#[derive(Debug, PartialEq, Eq)]
struct Notice {
    list_changed: bool,
    updated: Vec<ResourceUri>,
}

/// A subscriber that fell behind has missed changes: it is notified of all its resources.
#[derive(Clone, Copy, Debug)]
enum Heard {
    One(Change),
    TooMany,
}

impl Notice {
    fn new(heard: Heard, wanted: &Uris) -> Self {
        let (list_changed, id) = match heard {
            Heard::One(Change::Added(id)) => (true, id),
            Heard::One(Change::Updated(id)) => (false, id),
            Heard::TooMany => {
                return Self {
                    list_changed: true,
                    updated: wanted.iter().copied().collect(),
                };
            }
        };
        let touched = [ResourceUri::All, ResourceUri::One(id)];
        Self {
            list_changed,
            updated: touched
                .into_iter()
                .filter(|uri| wanted.contains(uri))
                .collect(),
        }
    }
}

async fn next(changes: &mut Receiver<Change>) -> Option<Heard> {
    match changes.recv().await {
        Ok(change) => Some(Heard::One(change)),
        Err(RecvError::Lagged(_)) => Some(Heard::TooMany),
        Err(RecvError::Closed) => None,
    }
}

/// No value here can be half changed, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_notified_of_what_it_subscribed_to() {
        let one = "task-1".parse().unwrap();
        let two = "task-2".parse().unwrap();
        let all = ResourceUri::All;
        let cases = [
            (
                "its task",
                Heard::One(Change::Updated(one)),
                vec![ResourceUri::One(one)],
                (false, vec![ResourceUri::One(one)]),
            ),
            (
                "another task",
                Heard::One(Change::Updated(two)),
                vec![ResourceUri::One(one)],
                (false, vec![]),
            ),
            (
                "list and task",
                Heard::One(Change::Updated(one)),
                vec![all, ResourceUri::One(one)],
                (false, vec![all, ResourceUri::One(one)]),
            ),
            (
                "a new task",
                Heard::One(Change::Added(two)),
                vec![all],
                (true, vec![all]),
            ),
            (
                "a new task, no subscription",
                Heard::One(Change::Added(two)),
                vec![],
                (true, vec![]),
            ),
            (
                "more than it could receive",
                Heard::TooMany,
                vec![all, ResourceUri::One(two)],
                (true, vec![all, ResourceUri::One(two)]),
            ),
        ];
        for (name, heard, wanted, (list_changed, updated)) in cases {
            let notice = Notice::new(heard, &wanted.into_iter().collect());
            let expected = Notice {
                list_changed,
                updated,
            };
            assert_eq!(notice, expected, "{name}");
        }
    }

    #[test]
    fn a_session_has_a_limit_and_frees_its_places() {
        let session = SessionSubscriptions::default();
        let uri = |n: usize| ResourceUri::One(format!("task-{}", n + 1).parse().unwrap());
        for n in 0..MAX_SUBSCRIPTIONS {
            session.add(uri(n)).unwrap();
        }
        assert!(session.add(uri(0)).is_ok(), "known already");
        assert!(session.add(uri(MAX_SUBSCRIPTIONS)).is_err());
        session.remove(uri(0));
        assert!(session.add(uri(MAX_SUBSCRIPTIONS)).is_ok());
    }
}
