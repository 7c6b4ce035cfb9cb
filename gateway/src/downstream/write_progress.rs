//! Whether a client takes what is written to it.
//!
//! A write that waits has a deadline where it is made. But what a connection has gathered, and what HTTP/2 has queued,
//! waits without anybody's write: here the connection itself notices that its client takes nothing, or next to nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// What a client must take within `timeouts.write_idle` while more is waiting, in bytes: 546 a second by default.
const MIN_BYTES: usize = 16 * 1024;

/// The progress of one connection's writes.
pub(crate) struct WriteProgress {
    /// How long a client may take over [`MIN_BYTES`] bytes.
    idle: Duration,
    /// Bytes taken since something began to wait.
    taken: usize,
    /// Runs while something waits; over when the client took too little.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl WriteProgress {
    pub(crate) const fn new(idle: Duration) -> Self {
        Self {
            idle,
            taken: 0,
            deadline: None,
        }
    }

    /// Counts bytes that went out.
    pub(crate) fn count_taken(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= MIN_BYTES {
            self.reset();
        }
    }

    /// Begins anew: nothing waits any more.
    pub(crate) fn reset(&mut self) {
        self.taken = 0;
        self.deadline = None;
    }

    /// Called when something has to wait: pending as long as the client may still take it.
    ///
    /// # Errors
    /// The client has taken too little for too long.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let idle = self.idle;
        if self.deadline.is_none() {
            self.taken = 0;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{Instant, advance};

    use super::*;

    const IDLE: Duration = Duration::from_secs(30);

    /// How long a client is waited for that takes `bytes` every five seconds.
    async fn patience_with(bytes: usize) -> Duration {
        let started = Instant::now();
        let mut progress = WriteProgress::new(IDLE);
        while started.elapsed() < 10 * IDLE {
            let waited =
                poll_fn(|cx| Poll::Ready(progress.poll_wait(cx).map(|error| error.kind()))).await;
            if waited == Poll::Ready(io::ErrorKind::TimedOut) {
                break;
            }
            advance(Duration::from_secs(5)).await;
            progress.count_taken(bytes);
        }
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_next_to_nothing_is_not_waited_for() {
        let about = |waited: Duration| waited.as_secs() / 5 * 5;
        assert_eq!(about(patience_with(0).await), 30);
        assert_eq!(about(patience_with(1).await), 30);
        assert_eq!(about(patience_with(MIN_BYTES / 10).await), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_is_waited_for() {
        assert!(patience_with(MIN_BYTES / 4).await >= 10 * IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_begins_anew_once_everything_is_taken() {
        let mut progress = WriteProgress::new(IDLE);
        for _ in 0..5 {
            let waits = poll_fn(|cx| Poll::Ready(progress.poll_wait(cx).is_pending())).await;
            assert!(waits);
            advance(Duration::from_secs(20)).await;
            progress.reset();
        }
    }
}
