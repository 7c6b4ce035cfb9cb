//! Whether anything happened that can make the process's memory grow: a connection was accepted, a handshake was completed,
//! bytes arrived from a client or an upstream. The memory watch rests while nothing does, so that an idle process sleeps.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What happened since somebody waited for it last. One waits, all others note.
#[derive(Debug)]
pub(crate) struct Activity {
    /// Something was noted that [`Activity::wait`] has not returned for.
    is_noted: AtomicBool,
    noted: Notify,
}

impl Activity {
    pub(super) const fn new() -> Self {
        Self {
            is_noted: AtomicBool::new(false),
            noted: Notify::const_new(),
        }
    }

    /// Notes that something happened. Costs one load where it was noted already.
    pub(crate) fn note(&self) {
        if !self.is_noted.load(Ordering::Relaxed) && !self.is_noted.swap(true, Ordering::AcqRel) {
            self.noted.notify_one();
        }
    }

    /// Returns once something happened since the last time it returned.
    pub(super) async fn wait(&self) {
        self.noted.notified().await;
        self.is_noted.store(false, Ordering::Release);
    }
}

/// That of this process: memory is the process's.
pub(crate) static ACTIVITY: Activity = Activity::new();

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_wait_ends_with_the_first_note_and_the_next_one_needs_another() {
        let activity = Activity::new();
        assert!(timeout(MOMENT, activity.wait()).await.is_err());
        activity.note();
        activity.note();
        assert!(timeout(MOMENT, activity.wait()).await.is_ok());
        assert!(timeout(MOMENT, activity.wait()).await.is_err());
        let (ended, ()) = tokio::join!(timeout(10 * MOMENT, activity.wait()), async {
            tokio::time::sleep(MOMENT).await;
            activity.note();
        });
        assert!(ended.is_ok());
    }
}
