//! What is left to do when the server can be reached again, and nobody waits for: changes that confirm something, and changes that take
//! others back of which nobody knows whether they were made, because their answer was lost.
//!
//! Such a change is fenced off first: the mark is set that it was made, so that a late copy of it does nothing. Then the rows say whether
//! there is something to take back.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_oauth::{id::Id, store::rows::StoreError};
use tokio::{sync::Notify, time::sleep};

use crate::authorization_server::store::engine::Job;

/// The most changes that are left to do. More are dropped: what they would confirm or take back stays undecided.
const MAX_LEFT: usize = 1024;

/// How long they are tried. A code has expired by then.
const TRIED: Duration = Duration::from_secs(10 * 60);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// What is left to do.
#[derive(Debug, Default)]
pub(super) struct Left {
    tasks: Mutex<VecDeque<Task>>,
    more: Notify,
}

pub(super) struct Task {
    /// The change that may have been made, or be made yet; none once it is fenced off.
    pub(super) fenced: Option<Id>,
    pub(super) job: Box<dyn Job>,
    since: Instant,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Task(since: {:?})", self.since)
    }
}

impl Left {
    /// Adds a change; where it takes another one back, with the number of that.
    pub(super) fn add(&self, fenced: Option<Id>, job: Box<dyn Job>) {
        let since = Instant::now();
        let mut tasks = self.tasks();
        if tasks.len() >= MAX_LEFT {
            tracing::warn!(
                "too many changes of the store are undecided ({MAX_LEFT}): codes are refused that were not redeemed (authorization_server.store)"
            );
            return;
        }
        tasks.push_back(Task { fenced, job, since });
        drop(tasks);
        self.more.notify_one();
    }

    fn tasks(&self) -> MutexGuard<'_, VecDeque<Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one, when there is one.
    pub(super) async fn next(&self) -> Task {
        loop {
            let task = self.tasks().pop_front();
            match task {
                Some(task) => return task,
                None => self.more.notified().await,
            }
        }
    }
}

impl Task {
    /// Waits after a failure. Whether it is tried again.
    pub(super) async fn pause(&mut self, error: &StoreError) -> bool {
        if self.since.elapsed() > TRIED {
            tracing::error!(
                "a change of the store stays undecided: {error} (authorization_server.store)"
            );
            return false;
        }
        sleep(PAUSE).await;
        true
    }
}

/// A change on its way.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// Its number.
    pub(super) id: Option<Id>,
    /// Whether it was sent, and the server has not said what came of it.
    pub(super) is_sent: bool,
}

/// A change for somebody who waits. Where it may have been made when nobody waits any longer, it is taken back later.
pub(super) struct Undoing<'l> {
    /// None once it is answered.
    job: Option<Box<dyn Job>>,
    flight: Flight,
    left: &'l Left,
}

impl<'l> Undoing<'l> {
    pub(super) fn new(job: Box<dyn Job>, left: &'l Left) -> Self {
        Self {
            job: Some(job),
            flight: Flight::default(),
            left,
        }
    }

    /// The job, if it is not answered, and where it is.
    pub(super) fn parts(&mut self) -> (Option<&mut Box<dyn Job>>, &mut Flight) {
        (self.job.as_mut(), &mut self.flight)
    }

    /// Answers, after what has to be taken back is on the list.
    pub(super) fn answer(mut self, committed: Result<(), StoreError>) {
        self.leave_undo();
        if let Some(job) = self.job.take() {
            job.answer(committed);
        }
    }

    fn leave_undo(&mut self) {
        if !std::mem::take(&mut self.flight.is_sent) {
            return;
        }
        let undo = self.job.as_mut().and_then(|job| job.undo());
        if let (Some(_), Some(undo)) = (self.flight.id, undo) {
            self.left.add(self.flight.id, undo);
        }
    }
}

impl Drop for Undoing<'_> {
    fn drop(&mut self) {
        self.leave_undo();
    }
}
