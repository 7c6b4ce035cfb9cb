//! What the store did since the start of the process.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::remote_store::figures::LinkFigures;

/// What the store did since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    commits: AtomicU64,
    changes: AtomicU64,
    failures: AtomicU64,
    waiting: AtomicUsize,
    conflicts: AtomicU64,
    link: Arc<LinkFigures>,
}

impl Figures {
    /// Durable commits; of a shared store those that it confirmed.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }

    /// Operations that were run in them.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Relaxed)
    }

    /// Commits that failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Changes that wait for the store.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Questions to a shared store.
    pub(crate) fn round_trips(&self) -> u64 {
        self.link.round_trips()
    }

    /// Questions after which an operation ran again, since rows were not as it found them.
    pub(crate) fn conflicts(&self) -> u64 {
        self.conflicts.load(Relaxed)
    }

    /// How often the connection to a shared store was lost.
    pub(crate) fn losses(&self) -> u64 {
        self.link.losses()
    }

    /// Whether there is a connection to a shared store now.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    pub(super) fn begin_waiting(&self) -> usize {
        self.waiting.fetch_add(1, Relaxed)
    }

    pub(super) fn end_waiting(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    pub(super) fn count_commit(&self, has_changes: bool, operations: usize) {
        self.commits.fetch_add(u64::from(has_changes), Relaxed);
        self.changes.fetch_add(operations as u64, Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }
}

#[cfg(feature = "redis")]
impl Figures {
    /// Those of the connection to a shared store.
    pub(super) fn link(&self) -> Arc<LinkFigures> {
        self.link.clone()
    }

    pub(super) fn count_conflict(&self) {
        self.conflicts.fetch_add(1, Relaxed);
    }
}
