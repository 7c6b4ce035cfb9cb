//! Asks for a reload: from the watch on files, and from SIGHUP. Requests that are not answered yet are one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::{Receiver, SyncSender, sync_channel},
};

/// Requests a reload.
#[derive(Clone, Debug)]
pub(crate) struct ReloadTrigger {
    requests: SyncSender<()>,
    /// An operator asks: everything is read again, changed or not.
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

    /// Asks for a look at the files: one may have changed.
    pub(crate) fn request(&self) {
        // A full channel holds such a request already.
        let _ = self.requests.try_send(());
    }

    /// Asks for everything to be read again (SIGHUP).
    pub(crate) fn force(&self) {
        self.is_forced.store(true, Ordering::Release);
        self.request();
    }

    /// Whether everything is to be read again; asked once for each time it was forced.
    pub(crate) fn take_forced(&self) -> bool {
        self.is_forced.swap(false, Ordering::Acquire)
    }
}

impl ReloadRequests {
    /// Waits for the next request. Whether one can come.
    pub(crate) fn wait(&self) -> bool {
        self.0.recv().is_ok()
    }
}
