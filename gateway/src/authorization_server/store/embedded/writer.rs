//! The one thread that writes. It takes the changes that wait, runs them in one transaction and answers them when it is durable: a
//! commit takes as long for a hundred changes as for one (group commit).

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError},
    },
    thread,
    time::{Duration, Instant},
};

use mcp_gateway_oauth::store::rows::StoreError;

use super::{place::Place, transaction};
use crate::authorization_server::store::{
    engine::{Job, MAX_WAIT, OPEN_PAUSE},
    figures::Figures,
};

/// The most changes of one transaction.
const MAX_CHANGES: usize = 256;

/// The longest that a transaction waits for as many changes as the one before it had. Those who were just answered come back
/// within that time, and then share a commit.
const MAX_GATHERING: Duration = Duration::from_millis(2);

/// The part of a commit's time that a transaction waits so: a quarter.
const GATHERING_PART: u32 = 4;

/// How long after a failed commit changes are refused without trying. Reads are answered in that time.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the thread is asked to do.
pub(super) enum Order {
    /// Run this change, which waits since then.
    Change(Box<dyn Job>, Instant),
    /// Close the database when everything before this order is done; then send.
    Close(SyncSender<()>),
    /// A read has failed: see whether the database must be opened again.
    Check,
}

/// The writer.
pub(super) struct Writer {
    place: Arc<Place>,
    orders: Receiver<Order>,
    figures: Arc<Figures>,
    /// How many changes the last transaction had, and how long it took.
    last: (usize, Duration),
    /// Until when changes are refused, and with which error.
    failure: Option<(Instant, StoreError)>,
}

impl Writer {
    pub(super) fn new(place: Arc<Place>, orders: Receiver<Order>, figures: Arc<Figures>) -> Self {
        Self {
            place,
            orders,
            figures,
            last: (0, Duration::ZERO),
            failure: None,
        }
    }

    /// Works until nobody can ask any more, then closes the database.
    pub(super) fn run(mut self) {
        while let Ok(order) = self.orders.recv() {
            self.obey(order);
        }
        self.place.leave();
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Change(job, since) => {
                let (jobs, next) = self.gather(job);
                self.write(jobs, since);
                if let Some(next) = next {
                    self.obey(next);
                }
            }
            Order::Close(closed) => {
                self.place.leave();
                // The caller may have given up.
                let _ = closed.send(());
            }
            Order::Check => self.write(Vec::new(), Instant::now()),
        }
    }

    /// The changes of the next transaction, the first of which is here; and an order of another kind that ended them.
    fn gather(&self, first: Box<dyn Job>) -> (Vec<Box<dyn Job>>, Option<Order>) {
        let (expected, took) = self.last;
        let deadline = Instant::now() + (took / GATHERING_PART).min(MAX_GATHERING);
        let mut jobs = vec![first];
        self.figures.end_waiting();
        while jobs.len() < MAX_CHANGES {
            match self.next_order(jobs.len() < expected, deadline) {
                Some(Order::Change(job, _)) => {
                    self.figures.end_waiting();
                    jobs.push(job);
                }
                other => return (jobs, other),
            }
        }
        (jobs, None)
    }

    fn next_order(&self, is_waiting: bool, deadline: Instant) -> Option<Order> {
        match self.orders.try_recv() {
            Ok(order) => Some(order),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) if !is_waiting => None,
            Err(TryRecvError::Empty) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.orders.recv_timeout(left).ok()
            }
        }
    }

    /// Runs the jobs in one transaction, the oldest of which waits since then, and answers them.
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>, since: Instant) {
        jobs.retain(|job| !job.is_abandoned());
        let begun = Instant::now();
        let committed = self
            .make_usable(since)
            .and_then(|()| self.commit(&mut jobs));
        self.last = (jobs.len(), begun.elapsed());
        for job in jobs {
            job.answer(committed.clone());
        }
    }

    fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let committed = self
            .place
            .with(|database| transaction::commit(database, jobs));
        match committed {
            Some(Ok(has_changes)) => {
                self.figures.count_commit(has_changes, jobs.len());
                Ok(())
            }
            Some(Err(error)) => {
                self.figures.count_failure();
                tracing::error!(
                    changes = jobs.len(),
                    "the state of the authorization server cannot be written: {error}"
                );
                self.refuse_for_a_while(error.clone());
                // redb refuses everything after a failed commit until the database is opened again.
                self.place.fail();
                self.open_again()?;
                Err(error)
            }
            None => Err(closed()),
        }
    }

    /// Opens a store that has failed, and waits for one that is closed, since then, for a moment.
    fn make_usable(&mut self, since: Instant) -> Result<(), StoreError> {
        if let Some((until, error)) = &self.failure
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        if self.place.has_failed() {
            self.open_again()?;
        }
        if self.failure.take().is_some() {
            tracing::info!("trying again to write the state of the authorization server");
        }
        while !self.place.is_open() && since.elapsed() < MAX_WAIT {
            thread::sleep(OPEN_PAUSE);
        }
        self.place.is_open().then_some(()).ok_or_else(closed)
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        self.place.reopen().map_err(|error| {
            tracing::error!("the store of the authorization server cannot be opened: {error}");
            let error = StoreError::Failed(error.to_string());
            self.refuse_for_a_while(error.clone());
            error
        })
    }

    fn refuse_for_a_while(&mut self, error: StoreError) {
        self.failure = Some((Instant::now() + PAUSE_AFTER_FAILURE, error));
    }
}

/// The error of a store that is closed.
pub(super) fn closed() -> StoreError {
    StoreError::Failed("it is closed: another process takes over".to_owned())
}
