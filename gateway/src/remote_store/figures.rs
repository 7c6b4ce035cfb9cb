//! What went over the connection since the start of the process, and whether there is one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What went over the connection since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct LinkFigures {
    round_trips: AtomicU64,
    losses: AtomicU64,
    is_up: AtomicBool,
}

impl LinkFigures {
    /// Questions to the server.
    pub(crate) fn round_trips(&self) -> u64 {
        self.round_trips.load(Relaxed)
    }

    /// How often the connection was lost.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Relaxed)
    }

    /// Whether there is a connection now.
    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Relaxed)
    }
}

#[cfg(feature = "redis")]
impl LinkFigures {
    pub(super) fn count_round_trip(&self) {
        self.round_trips.fetch_add(1, Relaxed);
    }

    pub(super) fn count_loss(&self) {
        self.is_up.store(false, Relaxed);
        self.losses.fetch_add(1, Relaxed);
    }

    pub(super) fn note_connected(&self) {
        self.is_up.store(true, Relaxed);
    }
}
