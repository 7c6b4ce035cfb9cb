//! Connections to one upstream between two requests.
//!
//! The newest is used first, so that the others may grow old and go. A connection is looked at when it comes home and
//! again before it is used: one that the upstream has closed meanwhile is not used. What nobody asks for is closed by a
//! sweep.

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

/// Connections kept for each upstream.
const KEPT: usize = 256;

/// Kept connections, the oldest first.
pub(super) struct Pool {
    /// How long one is kept: shorter than the upstream keeps it, or requests would meet closed connections.
    keep_alive: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    links: Vec<(Instant, Link)>,
    /// A sweep is on its way.
    swept: bool,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(keep_alive: Duration) -> Arc<Self> {
        Arc::new(Self {
            keep_alive,
            kept: Mutex::default(),
        })
    }

    /// The connection that came home last, if one is still good.
    pub(super) fn take(&self) -> Option<Link> {
        loop {
            let (since, mut link) = self.lock().links.pop()?;
            if since.elapsed() < self.keep_alive && link.is_ready() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose answer has been read to its end, if it can be used again.
    pub(super) fn put(self: Arc<Self>, mut link: Link) {
        if !link.is_ready() {
            return;
        }
        let mut kept = self.lock();
        if kept.links.len() < KEPT {
            kept.links.push((Instant::now(), link));
        }
        if !kept.swept
            && let Ok(runtime) = Handle::try_current()
        {
            kept.swept = true;
            drop(kept);
            runtime.spawn(self.sweep());
        }
    }

    /// Closes what has grown old, until nothing is left.
    async fn sweep(self: Arc<Self>) {
        loop {
            sleep(self.keep_alive).await;
            let mut kept = self.lock();
            let old = kept
                .links
                .partition_point(|(since, _)| since.elapsed() >= self.keep_alive);
            let closing: Vec<_> = kept.links.drain(..old).collect();
            kept.swept = !kept.links.is_empty();
            let is_done = !kept.swept;
            drop(kept);
            drop(closing);
            if is_done {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
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
