//! When an answer is ended though its upstream has more to say: with the caller's token, or when the gateway drains.

use std::{future::pending, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::shared::Gateway;

/// When an answer is ended though its upstream has more to say.
pub(crate) struct StreamEnd {
    /// An answer that only listens ends when the gateway drains: its client comes back.
    draining: Option<watch::Receiver<bool>>,
    expires: Instant,
}

impl StreamEnd {
    /// Of an answer that only listens: with the caller's token, or when the gateway drains.
    pub(crate) fn of_listening(gateway: &Gateway, token_left: Duration) -> Self {
        Self {
            draining: Some(gateway.process_state().draining()),
            expires: Instant::now() + token_left,
        }
    }

    /// Of an answer to a call: `max_after_expiry` after the caller's token.
    pub(crate) fn of_call(token_left: Duration, max_after_expiry: Duration) -> Self {
        Self {
            draining: None,
            expires: Instant::now() + token_left + max_after_expiry,
        }
    }

    /// When the caller's token no longer carries the answer.
    pub(crate) const fn expires(&self) -> Instant {
        self.expires
    }

    /// Waits until the answer must end.
    pub(crate) async fn reached(&mut self) {
        let drained = async {
            match &mut self.draining {
                // The sender lives as long as the gateway.
                Some(draining) => drop(draining.wait_for(|draining| *draining).await),
                None => pending().await,
            }
        };
        tokio::select! {
            () = drained => {}
            () = sleep_until(self.expires) => {}
        }
    }

    /// Whether it has come: asked where a stream that never pauses would not wait for it.
    pub(crate) fn is_reached(&self) -> bool {
        let drains = self.draining.as_ref();
        drains.is_some_and(|draining| *draining.borrow()) || Instant::now() >= self.expires
    }
}
