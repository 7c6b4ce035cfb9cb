//! Connections to one upstream between two requests.
//!
//! The newest is used first, so that the others may grow old and be closed. A connection is checked when it returns and
//! again before it is used: one that the upstream has closed meanwhile is not used. A sweep closes those that nobody asks
//! for.

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
const MAX_KEPT: usize = 256;

/// Kept connections, the oldest first.
pub(super) struct Pool {
    /// How long one is kept: shorter than the upstream keeps it, or requests would meet closed connections.
    keep_alive: Duration,
    kept: Mutex<KeptLinks>,
}

#[derive(Default)]
struct KeptLinks {
    links: Vec<(Instant, Link)>,
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

    /// The connection that returned last, if one can still be used.
    pub(super) fn take(&self) -> Option<Link> {
        loop {
            let (since, mut link) = self.lock().links.pop()?;
            if since.elapsed() < self.keep_alive && link.is_ready() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection whose answer has been read to its end, if it can be used again.
    pub(super) fn put(self: &Arc<Self>, mut link: Link) {
        if !link.is_ready() {
            return;
        }
        let mut kept = self.lock();
        if kept.links.len() < MAX_KEPT {
            kept.links.push((Instant::now(), link));
        }
        if !kept.is_sweep_scheduled
            && let Ok(runtime) = Handle::try_current()
        {
            kept.is_sweep_scheduled = true;
            drop(kept);
            runtime.spawn(self.clone().sweep());
        }
    }

    /// Closes the connections that have grown old, until none is left.
    async fn sweep(self: Arc<Self>) {
        loop {
            sleep(self.keep_alive).await;
            let mut kept = self.lock();
            let old = kept
                .links
                .partition_point(|(since, _)| since.elapsed() >= self.keep_alive);
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
