//! The state of the process: starting, ready, leaving, draining, cut. No state returns.
//!
//! Whether another process accepts on the listening sockets is separate: it may become true in any state before the drain.

use std::sync::Arc;

use tokio::sync::watch;

/// The states, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Nothing is served yet.
    Starting,
    /// Load balancers should send traffic here.
    Ready,
    /// Load balancers should send traffic elsewhere; connections are still accepted.
    Leaving,
    /// New connections are not accepted; requests in progress continue.
    Draining,
    /// Open connections must close.
    Cut,
}

/// The state of the process.
#[derive(Debug)]
pub(crate) struct ProcessState {
    state: watch::Sender<State>,
    /// Whether the state is [`State::Draining`] or later, in the form that Pingora reads.
    draining: watch::Sender<bool>,
    /// Whether the state is [`State::Cut`]. Every connection waits only for this, so other states do not wake it.
    cut: watch::Sender<bool>,
    handed_over: watch::Sender<bool>,
    /// Whether what runs beside requests ends. It has ended when nobody listens here any more.
    finishing: watch::Sender<bool>,
    /// One reference for each holder of listening sockets, and this one.
    accepting: Arc<()>,
}

impl ProcessState {
    /// The state of a starting process.
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::Starting),
            draining: watch::Sender::new(false),
            cut: watch::Sender::new(false),
            handed_over: watch::Sender::new(false),
            finishing: watch::Sender::new(false),
            accepting: Arc::new(()),
        }
    }

    /// Turns readiness on.
    pub(crate) fn start_serving(&self) {
        self.enter(State::Ready);
    }

    /// Turns readiness off; connections are still accepted.
    pub(crate) fn leave(&self) {
        self.enter(State::Leaving);
    }

    /// Stops accepting connections; requests in progress continue.
    pub(crate) fn drain(&self) {
        self.enter(State::Draining);
        self.draining.send_replace(true);
    }

    /// Closes open connections, so that each request is at least recorded.
    pub(crate) fn cut(&self) {
        self.enter(State::Cut);
        self.cut.send_replace(true);
    }

    /// Another process accepts on the listening sockets, including the admin one.
    pub(crate) fn hand_over(&self) {
        self.handed_over.send_replace(true);
    }

    /// Ends what runs beside requests, and returns when it has ended.
    pub(crate) async fn finish(&self) {
        self.finishing.send_replace(true);
        self.finishing.closed().await;
    }

    /// Turns true when what runs beside requests is to end. [`finish`](Self::finish) waits until this is dropped.
    pub(crate) fn finishing(&self) -> watch::Receiver<bool> {
        self.finishing.subscribe()
    }

    fn enter(&self, next: State) {
        self.state.send_if_modified(|state| {
            let is_later = *state < next;
            *state = next.max(*state);
            is_later
        });
    }

    /// Whether the listeners are bound and the process is not shutting down.
    pub(crate) fn is_ready(&self) -> bool {
        *self.state.borrow() == State::Ready
    }

    /// Whether new connections are not accepted and idle ones are closed.
    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Whether open connections must close.
    pub(crate) fn is_cut(&self) -> bool {
        *self.state.borrow() == State::Cut
    }

    /// Turns true when no new connection is accepted any more.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        let mut draining = self.draining.subscribe();
        if *draining.borrow() {
            // A connection that was accepted at the last moment sees the change too.
            draining.mark_changed();
        }
        draining
    }

    /// Returns when open connections must close.
    pub(crate) async fn wait_for_cut(&self) {
        // The sender lives as long as the gateway.
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    /// Returns when another process accepts on the listening sockets.
    pub(crate) async fn wait_for_hand_over(&self) {
        // The sender lives as long as the gateway.
        let _ = self.handed_over.subscribe().wait_for(|over| *over).await;
    }

    /// Held by each holder of listening sockets: while one exists, connections may still arrive.
    pub(crate) fn accepting(&self) -> Arc<()> {
        self.accepting.clone()
    }

    /// Whether listening sockets are still held.
    pub(crate) fn is_accepting(&self) -> bool {
        Arc::strong_count(&self.accepting) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_follow_one_another_and_none_returns() {
        let state = ProcessState::new();
        let shown = || {
            let state = &state;
            let (ready, draining) = (state.is_ready(), state.is_draining());
            (ready, draining, state.is_cut())
        };
        assert_eq!(shown(), (false, false, false));
        state.start_serving();
        assert_eq!(shown(), (true, false, false));
        state.leave();
        assert_eq!(shown(), (false, false, false));
        state.start_serving();
        assert_eq!(shown(), (false, false, false));
        state.drain();
        assert_eq!(shown(), (false, true, false));
        state.cut();
        assert_eq!(shown(), (false, true, true));
        state.drain();
        assert_eq!(shown(), (false, true, true));
    }

    #[tokio::test]
    async fn a_state_that_is_reached_is_not_waited_for() {
        let state = ProcessState::new();
        state.drain();
        let mut draining = state.draining();
        assert!(draining.has_changed().unwrap());
        assert!(draining.wait_for(|draining| *draining).await.is_ok());
        state.cut();
        state.wait_for_cut().await;
        state.hand_over();
        state.wait_for_hand_over().await;
    }

    #[tokio::test]
    async fn the_process_waits_for_what_runs_beside_requests() {
        let state = Arc::new(ProcessState::new());
        state.finish().await;
        let state = Arc::new(ProcessState::new());
        let mut finishing = state.finishing();
        assert!(!*finishing.borrow());
        let finish = tokio::spawn({
            let state = state.clone();
            async move { state.finish().await }
        });
        assert!(finishing.wait_for(|finishing| *finishing).await.is_ok());
        assert!(!finish.is_finished());
        drop(finishing);
        finish.await.unwrap();
    }

    #[test]
    fn sockets_are_held_until_the_last_holder_is_gone() {
        let state = ProcessState::new();
        let (one, other) = (state.accepting(), state.accepting());
        drop(one);
        assert!(state.is_accepting());
        drop(other);
        assert!(!state.is_accepting());
    }
}
