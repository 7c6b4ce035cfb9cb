//! Requests a reload: from the file watch, and from SIGHUP. Requests that wait are merged into one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

/// Requests a reload.
#[derive(Clone, Debug)]
pub(crate) struct ReloadTrigger {
    requests: SyncSender<()>,
    /// An operator's request: everything is read again, even if no file has changed.
    is_forced: Arc<AtomicBool>,
}

/// Receives the requests.
#[derive(Debug)]
pub(crate) struct ReloadRequests(Receiver<()>);

impl ReloadTrigger {
    /// A trigger, and where its requests arrive.
    pub(crate) fn new() -> (Self, ReloadRequests) {
        let (requests, receiver) = sync_channel(1);
        let is_forced = Arc::default();
        let trigger = Self {
            requests,
            is_forced,
        };
        (trigger, ReloadRequests(receiver))
    }

    /// Requests a check of the files: one may have changed.
    pub(crate) fn request(&self) {
        // A full channel has such a request already.
        let _ = self.requests.try_send(());
    }

    /// Requests that everything is read again (SIGHUP).
    pub(crate) fn force(&self) {
        self.is_forced.store(true, Ordering::Release);
        self.request();
    }

    /// Whether everything must be read again. Resets the request.
    pub(crate) fn take_forced(&self) -> bool {
        self.is_forced.swap(false, Ordering::Acquire)
    }
}

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// A request came.
    Requested,
    /// None came in time.
    TimedOut,
    /// None can come any more.
    Closed,
}

impl ReloadRequests {
    /// Waits for the next request, at most so long if there is a limit.
    pub(super) fn wait(&self, at_most: Option<Duration>) -> Waited {
        let waited = match at_most {
            Some(time) => self.0.recv_timeout(time),
            None => self.0.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match waited {
            Ok(()) => Waited::Requested,
            Err(RecvTimeoutError::Timeout) => Waited::TimedOut,
            Err(RecvTimeoutError::Disconnected) => Waited::Closed,
        }
    }
}
