//! What is left of the batches that the store counted for this process, by bucket. The call that holds a bucket's lock asks for all that
//! wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mcp_gateway_core::rate::{
    lease::{LEASE, Lease},
    shared::SharedName,
};

/// Leases by bucket.
#[derive(Debug, Default)]
pub(super) struct Leases {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    all: HashMap<SharedName, Arc<tokio::sync::Mutex<Lease>>>,
    /// When those that are not needed were last removed.
    swept: Duration,
}

impl Leases {
    /// That of this bucket. Where `most` are kept and all are in use, it is one that nobody else sees: the store is asked for each
    /// call then.
    pub(super) fn of(
        &self,
        name: SharedName,
        most: usize,
        now: Duration,
    ) -> Arc<tokio::sync::Mutex<Lease>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = kept.all.get(&name) {
            return lease.clone();
        }
        if kept.all.len() >= most && now.saturating_sub(kept.swept) >= LEASE {
            kept.swept = now;
            kept.all.retain(|_, lease| is_needed(lease, now));
        }
        let lease = Arc::<tokio::sync::Mutex<Lease>>::default();
        if kept.all.len() < most {
            kept.all.insert(name, lease.clone());
        }
        lease
    }

    /// How long this bucket is still empty, as far as that is known without a wait: zero while somebody asks the store for it.
    pub(super) fn wait(&self, name: SharedName, now: Duration) -> Duration {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = kept.all.get(&name).and_then(|lease| lease.try_lock().ok());
        lease.map_or(Duration::ZERO, |lease| lease.wait(now))
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.all.len()
    }
}

/// Whether somebody uses it, or something is left of it.
fn is_needed(lease: &Arc<tokio::sync::Mutex<Lease>>, now: Duration) -> bool {
    Arc::strong_count(lease) > 1 || lease.try_lock().is_ok_and(|lease| !lease.is_over(now))
}
