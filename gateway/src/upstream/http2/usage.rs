//! The streams of one connection: how many are in use, and how many there may be.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::bounds::{MAX_STREAMS, UNUSED};

/// The use of one connection.
pub(super) struct Usage {
    keep_alive: Duration,
    state: Mutex<State>,
    /// Wakes the driver: the last stream ended, or a request got no answer.
    changed: Notify,
    /// Wakes requests of all connections that wait for a stream.
    freed: Arc<Notify>,
    /// Why the gateway closed the connection.
    fault: OnceLock<String>,
}

struct State {
    open: usize,
    limit: usize,
    /// When the connection closes if no stream is open.
    idle_until: Instant,
    /// A request got no answer, perhaps because the server is dead.
    is_doubted: bool,
    is_closing: bool,
}

impl Usage {
    pub(super) fn new(keep_alive: Duration, freed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            keep_alive,
            state: Mutex::new(State {
                open: 0,
                limit: 0,
                idle_until: Instant::now() + keep_alive.max(UNUSED),
                is_doubted: false,
                is_closing: false,
            }),
            changed: Notify::new(),
            freed,
            fault: OnceLock::new(),
        })
    }

    /// A stream for one request, if one is free.
    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        let is_expired = state.open == 0 && Instant::now() >= state.idle_until;
        if state.is_closing || is_expired || state.open >= state.limit {
            return None;
        }
        state.open += 1;
        drop(state);
        Some(Slot {
            usage: self.clone(),
            is_answered: false,
        })
    }

    /// Sets how many streams the server allows.
    pub(super) fn set_limit(&self, limit: usize) {
        self.lock().limit = limit.min(MAX_STREAMS);
        self.freed.notify_waiters();
    }

    /// When the connection closes if no stream is open; none while one is.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        let state = self.lock();
        (state.open == 0).then_some(state.idle_until)
    }

    /// Gives out no further stream if the connection has been idle for long enough; returns whether that is so.
    pub(super) fn close_if_idle(&self) -> bool {
        let mut state = self.lock();
        state.is_closing |= state.open == 0 && Instant::now() >= state.idle_until;
        state.is_closing
    }

    /// Whether a request got no answer since this was asked last.
    pub(super) fn take_doubt(&self) -> bool {
        std::mem::take(&mut self.lock().is_doubted)
    }

    /// Returns when the driver should look again.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Says why the gateway closes the connection.
    pub(super) fn blame(&self, fault: String) {
        let _ = self.fault.set(fault);
    }

    /// Why the gateway closed the connection.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Usage")
            .field("open", &state.open)
            .field("limit", &state.limit)
            .finish_non_exhaustive()
    }
}

/// One stream of a connection, in use until it is dropped.
pub(super) struct Slot {
    usage: Arc<Usage>,
    is_answered: bool,
}

impl Slot {
    /// The server has answered, or was not asked: nothing speaks against its being alive.
    pub(super) const fn answered(&mut self) {
        self.is_answered = true;
    }

    /// Why the gateway closed the connection.
    pub(super) fn fault(&self) -> Option<&str> {
        self.usage.fault()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.usage.lock();
        state.open = state.open.saturating_sub(1);
        state.is_doubted |= !self.is_answered;
        let is_idle = state.open == 0;
        if is_idle {
            state.idle_until = Instant::now() + self.usage.keep_alive;
        }
        drop(state);
        if is_idle || !self.is_answered {
            self.usage.changed.notify_one();
        }
        self.usage.freed.notify_one();
    }
}
