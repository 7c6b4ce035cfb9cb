//! What the store did since the start of the process.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What the store did since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    commits: AtomicU64,
    changes: AtomicU64,
    failures: AtomicU64,
    waiting: AtomicUsize,
}

impl Figures {
    /// Durable commits.
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

    /// Changes that wait for the writer.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    pub(super) fn begin_waiting(&self) {
        self.waiting.fetch_add(1, Relaxed);
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
