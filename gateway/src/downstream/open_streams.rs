//! The open streams of an HTTP/2 connection, and how long it has had none.
//!
//! Pingora closes an idle connection itself if it is asked to, but its timer then wakes a thread every 10 ms for as long as the process
//! lives.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How soon a connection with open streams is looked at again, at the earliest.
const BUSY: Duration = Duration::from_millis(100);

/// The open streams of one connection.
pub(super) struct OpenStreams {
    open: AtomicUsize,
    began: Instant,
    /// When the last stream ended, in milliseconds since `began`.
    last_end: AtomicU64,
}

impl OpenStreams {
    /// Those of a connection that begins now.
    pub(super) fn new() -> Self {
        Self {
            open: AtomicUsize::new(0),
            began: Instant::now(),
            last_end: AtomicU64::new(0),
        }
    }

    /// A stream begins. It is open until what this returns is dropped.
    pub(super) fn open(&self) -> OpenStream<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenStream(self)
    }

    /// Waits until the connection has had no open stream for so long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let next = match self.open.load(Ordering::Relaxed) {
                0 => self.last_end() + limit,
                _ => now + limit.max(BUSY),
            };
            if next <= now {
                return;
            }
            sleep_until(next).await;
        }
    }

    fn last_end(&self) -> Instant {
        self.began + Duration::from_millis(self.last_end.load(Ordering::Relaxed))
    }
}

/// An open stream.
pub(super) struct OpenStream<'a>(&'a OpenStreams);

impl Drop for OpenStream<'_> {
    fn drop(&mut self) {
        let since = self.0.began.elapsed().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.0.last_end.store(since, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);
    const MOMENT: Duration = Duration::from_millis(5);

    async fn waited(streams: &OpenStreams, limit: Duration) -> Duration {
        let begun = Instant::now();
        streams.idle_for(limit).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_after_the_limit_without_a_stream() {
        let streams = OpenStreams::new();
        let waited = waited(&streams, LIMIT).await;
        assert!(waited >= LIMIT && waited < LIMIT + MOMENT, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_stream_keeps_it_busy_and_the_end_of_the_last_one_counts() {
        let streams = OpenStreams::new();
        let (one, other) = (streams.open(), streams.open());
        assert!(timeout(10 * LIMIT, streams.idle_for(LIMIT)).await.is_err());
        drop(one);
        assert!(timeout(10 * LIMIT, streams.idle_for(LIMIT)).await.is_err());
        advance(LIMIT / 2).await;
        drop(other);
        let waited = waited(&streams, LIMIT).await;
        assert!(
            waited >= LIMIT - MOMENT && waited < LIMIT + MOMENT,
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_comes_and_goes_meanwhile_begins_the_wait_again() {
        let streams = OpenStreams::new();
        let comes = async {
            tokio::time::sleep(LIMIT / 2).await;
            drop(streams.open());
        };
        let (waited, ()) = tokio::join!(waited(&streams, LIMIT), comes);
        let expected = LIMIT + LIMIT / 2;
        assert!(
            waited >= expected - MOMENT && waited < expected + MOMENT,
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_a_connection_is_idle_as_soon_as_its_streams_end() {
        let streams = OpenStreams::new();
        let stream = streams.open();
        assert!(
            timeout(LIMIT, streams.idle_for(Duration::ZERO))
                .await
                .is_err()
        );
        drop(stream);
        assert!(waited(&streams, Duration::ZERO).await <= BUSY);
    }
}
