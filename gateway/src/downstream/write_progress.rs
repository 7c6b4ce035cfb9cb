//! Checks whether a client reads what is written to it.
//!
//! Each write has a deadline where it is made. But data that the connection has collected, or that HTTP/2 has queued, waits
//! without a pending write. So the connection itself checks whether its client reads nothing, or almost nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// Bytes that a client must read within `timeouts.write_idle` while more is waiting: 546 a second by default.
const MIN_BYTES: usize = 16 * 1024;

/// The write progress of one connection.
pub(crate) struct WriteProgress {
    /// How long a client may take to read [`MIN_BYTES`] bytes.
    idle: Duration,
    /// Bytes read by the client since data began to wait.
    taken: usize,
    /// Runs while data waits; it is reached when the client read too little.
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

    /// Counts bytes that were sent.
    pub(crate) fn count_taken(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= MIN_BYTES {
            self.reset();
        }
    }

    /// Resets the count: no data waits any more.
    pub(crate) fn reset(&mut self) {
        self.taken = 0;
        self.deadline = None;
    }

    /// Call it when data has to wait: pending while the client may still take it.
    ///
    /// # Errors
    /// The client read too little for too long.
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

    /// How long the gateway waits for a client that reads `bytes` every five seconds.
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
    async fn a_client_that_reads_nothing_or_almost_nothing_is_not_waited_for() {
        let about = |waited: Duration| waited.as_secs() / 5 * 5;
        assert_eq!(about(patience_with(0).await), 30);
        assert_eq!(about(patience_with(1).await), 30);
        assert_eq!(about(patience_with(MIN_BYTES / 10).await), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_waited_for() {
        assert!(patience_with(MIN_BYTES / 4).await >= 10 * IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_starts_again_once_everything_is_read() {
        let mut progress = WriteProgress::new(IDLE);
        for _ in 0..5 {
            let waits = poll_fn(|cx| Poll::Ready(progress.poll_wait(cx).is_pending())).await;
            assert!(waits);
            advance(Duration::from_secs(20)).await;
            progress.reset();
        }
    }
}
