//! The streams of one connection: how many are in use, and how many there may be.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::bounds::{MAX_CANCELLED, MAX_STREAMS, UNUSED};

/// The use of one connection.
pub(super) struct Usage {
    keep_alive: Duration,
    state: Mutex<State>,
    /// A request was answered.
    has_answered: AtomicBool,
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
    /// Streams that ended before their answer was complete.
    cancelled: usize,
    /// It takes no further streams, and closes when the last one ends.
    is_retired: bool,
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
                cancelled: 0,
                is_retired: false,
                is_closing: false,
            }),
            has_answered: AtomicBool::new(false),
            changed: Notify::new(),
            freed,
            fault: OnceLock::new(),
        })
    }

    /// A stream for one request, if one is free.
    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        let is_expired = state.open == 0 && Instant::now() >= state.idle_until;
        if state.is_closing || state.is_retired || is_expired || state.open >= state.limit {
            return None;
        }
        state.open += 1;
        drop(state);
        Some(Slot {
            usage: self.clone(),
            is_kept: self.has_answered.load(Ordering::Relaxed),
            is_answered: false,
            is_cancelled: false,
        })
    }

    /// Gives out no further stream: other connections take the requests that follow.
    pub(super) fn retire(&self) {
        let mut state = self.lock();
        state.is_retired = true;
        if state.open == 0 {
            state.idle_until = Instant::now();
        }
        drop(state);
        self.freed.notify_waiters();
    }

    /// Whether no further stream is given out.
    pub(super) fn is_retired(&self) -> bool {
        self.lock().is_retired
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
    /// Another request was answered before.
    is_kept: bool,
    is_answered: bool,
    is_cancelled: bool,
}

impl Slot {
    /// The server has answered, or was not asked: nothing speaks against its being alive.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
        self.usage.has_answered.store(true, Ordering::Relaxed);
    }

    /// The stream ends before the answer is complete.
    pub(super) const fn cancelled(&mut self) {
        self.is_cancelled = true;
    }

    /// Whether another request was answered over the connection before.
    pub(super) const fn is_kept(&self) -> bool {
        self.is_kept
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
        state.cancelled += usize::from(self.is_cancelled || !self.is_answered);
        state.is_retired |= state.cancelled >= MAX_CANCELLED;
        let is_idle = state.open == 0;
        if is_idle {
            let keep_alive = match state.is_retired {
                true => Duration::ZERO,
                false => self.usage.keep_alive,
            };
            state.idle_until = Instant::now() + keep_alive;
        }
        drop(state);
        if is_idle || !self.is_answered {
            self.usage.changed.notify_one();
        }
        self.usage.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_with_many_cancelled_streams_takes_no_further_ones() {
        let usage = Usage::new(Duration::from_secs(60), Arc::default());
        usage.set_limit(MAX_STREAMS);
        let kept = usage.take().unwrap();
        for number in 0..MAX_CANCELLED {
            let mut slot = usage.take().unwrap();
            if number % 2 == 0 {
                slot.answered();
                slot.cancelled();
            }
        }
        assert!(usage.take().is_none() && usage.is_retired());
        assert!(!usage.close_if_idle(), "a stream is open");
        drop(kept);
        assert!(usage.close_if_idle());
    }

    #[test]
    fn whole_answers_retire_no_connection() {
        let usage = Usage::new(Duration::from_secs(60), Arc::default());
        usage.set_limit(MAX_STREAMS);
        for _ in 0..=MAX_CANCELLED {
            usage.take().unwrap().answered();
        }
        assert!(!usage.is_retired() && !usage.close_if_idle());
        usage.retire();
        assert!(usage.take().is_none() && usage.close_if_idle());
    }
}
