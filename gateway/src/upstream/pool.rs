//! Idle connections to one upstream.
//!
//! The newest one is used first, so that the others can time out and close. One that the upstream has closed is noticed when it is
//! used ([`Unanswered::Unsent`](super::link::Unanswered::Unsent)), and the next one is taken. A sweep closes unused ones.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::link::Link;
use crate::limits::idle_connections::{IDLE_CONNECTIONS, IdleSlot};

/// Idle connections per upstream, at most.
const MAX_KEPT: usize = 256;

/// Idle connections, the oldest first.
pub(super) struct Pool {
    /// The idle timeout of a connection. It must be shorter than the upstream's, or requests would get closed connections.
    keep_alive: Duration,
    kept: Mutex<KeptLinks>,
}

#[derive(Default)]
struct KeptLinks {
    links: Vec<(Instant, Link, IdleSlot)>,
    /// A sweep is scheduled.
    is_sweep_scheduled: bool,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(keep_alive: Duration) -> Arc<Self> {
        Arc::new(Self {
            keep_alive,
            kept: Mutex::default(),
        })
    }

    /// The connection that returned last, if it is not too old. The upstream may have closed it.
    pub(super) fn take(&self) -> Option<Link> {
        loop {
            let (since, link, _) = self.lock().links.pop()?;
            if since.elapsed() < self.keep_alive {
                return Some(link);
            }
        }
    }

    /// Stores a connection whose answer has been read to its end, if it can be used again.
    pub(super) fn put(self: &Arc<Self>, link: Link) {
        if !link.is_done() {
            return;
        }
        let mut kept = self.lock();
        if kept.links.len() < MAX_KEPT
            && let Some(slot) = IDLE_CONNECTIONS.try_add()
        {
            kept.links.push((Instant::now(), link, slot));
        }
        if !kept.is_sweep_scheduled
            && let Ok(runtime) = Handle::try_current()
        {
            kept.is_sweep_scheduled = true;
            drop(kept);
            runtime.spawn(self.clone().sweep());
        }
    }

    /// Closes connections after their idle timeout, until none is left.
    async fn sweep(self: Arc<Self>) {
        loop {
            sleep(self.keep_alive).await;
            let mut kept = self.lock();
            let old = kept
                .links
                .partition_point(|(since, ..)| since.elapsed() >= self.keep_alive);
            let closing: Vec<_> = kept.links.drain(..old).collect();
            kept.is_sweep_scheduled = !kept.links.is_empty();
            let is_done = !kept.is_sweep_scheduled;
            drop(kept);
            drop(closing);
            if is_done {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, KeptLinks> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lock().links.len();
        f.debug_struct("Pool")
            .field("kept", &kept)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::super::test_server::{TestServer, ask};
    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn after_an_answer_is_read_its_connection_serves_the_next_request() {
        let server = TestServer::start(ANSWER, true).await;
        let endpoint = server.endpoint(LONG);
        for _ in 0..3 {
            let body = ask(&endpoint).await.into_body();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
        }
        assert_eq!(server.accepted(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_is_dropped_before_its_end_closes_its_connection() {
        let half = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{}";
        let server = TestServer::start(half, true).await;
        let endpoint = server.endpoint(LONG);
        for expected in 1..4 {
            drop(ask(&endpoint).await);
            assert_eq!(server.accepted(), expected);
        }
    }

    #[tokio::test]
    async fn an_answer_without_a_body_needs_no_reading() {
        let empty = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
        let server = TestServer::start(empty, true).await;
        let endpoint = server.endpoint(LONG);
        for _ in 0..3 {
            drop(ask(&endpoint).await);
        }
        assert_eq!(server.accepted(), 1);
    }

    #[tokio::test]
    async fn simultaneous_requests_use_separate_connections() {
        let server = TestServer::start(ANSWER, true).await;
        let endpoint = server.endpoint(LONG);
        let (one, other) = (ask(&endpoint).await, ask(&endpoint).await);
        assert_eq!(server.accepted(), 2);
        for response in [one, other] {
            response.into_body().collect().await.unwrap();
        }
        assert_eq!(endpoint.pool.lock().links.len(), 2);
        ask(&endpoint).await.into_body().collect().await.unwrap();
        assert_eq!(server.accepted(), 2);
    }

    #[tokio::test]
    async fn a_connection_that_the_upstream_has_closed_is_not_used_again() {
        let server = TestServer::start(ANSWER, false).await;
        let endpoint = server.endpoint(LONG);
        for expected in 1..4 {
            ask(&endpoint).await.into_body().collect().await.unwrap();
            sleep(Duration::from_millis(50)).await;
            assert_eq!(server.accepted(), expected);
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_after_its_timeout() {
        let server = TestServer::start(ANSWER, true).await;
        let endpoint = server.endpoint(Duration::from_millis(40));
        ask(&endpoint).await.into_body().collect().await.unwrap();
        assert_eq!(endpoint.pool.lock().links.len(), 1);
        sleep(Duration::from_millis(200)).await;
        let kept = endpoint.pool.lock();
        assert!(kept.links.is_empty() && !kept.is_sweep_scheduled);
    }

    #[tokio::test]
    async fn without_an_idle_timeout_no_connection_is_used_twice() {
        let server = TestServer::start(ANSWER, true).await;
        let endpoint = server.endpoint(Duration::ZERO);
        for expected in 1..4 {
            ask(&endpoint).await.into_body().collect().await.unwrap();
            assert_eq!(server.accepted(), expected);
        }
    }
}
