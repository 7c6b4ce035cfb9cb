//! What a store must be able to do. There are two kinds: `embedded` is a file of one process, `shared` is a server that several
//! processes use.

use std::{
    fmt::Debug,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use async_trait::async_trait;
use mcp_gateway_oauth::store::{
    guess::Place,
    hint::NamedRow,
    rows::{Rows, StoreError},
};
use tokio::sync::oneshot;

use super::{error::OpenError, followed::Followed};

/// How long a request waits for a store that is closed for a moment, as while a new process takes over.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(2);

/// Time between two looks whether the store is open.
pub(super) const OPEN_PAUSE: Duration = Duration::from_millis(5);

/// Runs in a read transaction, once or more.
pub(crate) type Reading<'r> = &'r mut (dyn FnMut(&dyn Rows) -> Result<(), StoreError> + Send);

/// How recent a reading has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// As the last commit left the rows.
    Latest,
    /// As this process saw the rows last, if it did.
    Remembered,
}

/// A store.
#[async_trait]
pub(crate) trait Engine: Debug + Send + Sync {
    /// Takes a change on. It is answered when it is durable, perhaps after this has returned.
    ///
    /// # Errors
    /// Too many changes wait.
    async fn change(&self, job: Box<dyn Job>) -> Result<(), StoreError>;

    /// Runs `reading` over the rows.
    ///
    /// # Errors
    /// The error of `reading`; or the store is closed or cannot be read.
    async fn read(&self, reading: Reading<'_>, freshness: Freshness) -> Result<(), StoreError>;

    /// The same for a caller that cannot wait. Blocks as long as a disk needs.
    ///
    /// # Errors
    /// As [`Engine::read`]; or the rows are elsewhere.
    fn read_now(&self, reading: Reading<'_>) -> Result<(), StoreError>;

    /// These rows, as this process saw them last, where it did. None where no other process uses the store.
    fn remembered(&self, _: &[Place]) -> Vec<NamedRow> {
        Vec::new()
    }

    /// Remembers rows as another process saw them last.
    fn suggest(&self, _: Vec<NamedRow>) {}

    /// Rows of ended grants that other processes wrote since the last call; all of them after the first one.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn follow(&self) -> Result<Followed, StoreError>;

    /// Takes a change on that nobody waits for. It is tried again until it is made, or the store is away for long.
    fn change_later(&self, job: Box<dyn Job>);

    /// Works off what [`Engine::change_later`] took on, and takes changes back of which it is not known whether they were made. Runs until
    /// it is dropped.
    async fn settle(&self);

    /// Whether the store can be used now.
    fn is_open(&self) -> bool;

    /// Makes all changes durable that were submitted before, then lets another process have the store. Blocks.
    fn close(&self);

    /// Takes the store back. Blocks.
    ///
    /// # Errors
    /// The store cannot be opened. It tries again with later changes.
    fn reopen(&self) -> Result<(), OpenError>;
}

/// A change. A store runs it, once or more, in a transaction, and answers it once, when the transaction is durable.
pub(crate) trait Job: Send {
    /// Runs the operation. Its changes are kept if it returns true.
    fn run(&mut self, rows: &mut dyn Rows) -> bool;

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// What takes the last run back, if nobody may know whether its changes were made. It finds out itself whether they were.
    fn undo(&mut self) -> Option<Box<dyn Job>>;

    /// Answers: with the operation's result if the transaction was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Takes the changes back of an operation with this result.
pub(super) type Undo<T> = fn(&mut dyn Rows, &T) -> Result<(), StoreError>;

/// A job of this operation, and where its answer will arrive.
pub(super) fn job<T, F>(
    operation: F,
    undo: Option<Undo<T>>,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: Fn(&mut dyn Rows) -> Result<T, StoreError> + Send + 'static,
{
    let (asker, answer) = oneshot::channel();
    let job = TypedJob {
        operation,
        undo,
        result: None,
        asker,
    };
    (Box::new(job), answer)
}

/// A job of this operation that nobody waits for.
pub(super) fn later<F>(operation: F) -> Box<dyn Job>
where
    F: Fn(&mut dyn Rows) -> Result<(), StoreError> + Send + 'static,
{
    Box::new(LaterJob(operation))
}

struct LaterJob<F>(F);

impl<F> Job for LaterJob<F>
where
    F: Fn(&mut dyn Rows) -> Result<(), StoreError> + Send,
{
    fn run(&mut self, rows: &mut dyn Rows) -> bool {
        self.0(rows).is_ok()
    }

    fn is_abandoned(&self) -> bool {
        false
    }

    fn undo(&mut self) -> Option<Box<dyn Job>> {
        None
    }

    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}
}

struct TypedJob<T, F> {
    operation: F,
    undo: Option<Undo<T>>,
    result: Option<Result<T, StoreError>>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send + 'static,
    F: Fn(&mut dyn Rows) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, rows: &mut dyn Rows) -> bool {
        // An operation that panics takes no other one down.
        let result = catch_unwind(AssertUnwindSafe(|| (self.operation)(rows)));
        let result = result.unwrap_or_else(|_| Err(not_run("it panicked")));
        self.result.insert(result).is_ok()
    }

    fn is_abandoned(&self) -> bool {
        self.asker.is_closed()
    }

    fn undo(&mut self) -> Option<Box<dyn Job>> {
        let undo = self.undo?;
        let result = self.result.take()?.ok()?;
        Some(later(move |rows| undo(rows, &result)))
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = self
            .result
            .unwrap_or_else(|| Err(not_run("it did not run")));
        // The asker may have gone.
        let _ = self.asker.send(committed.and(result));
    }
}

fn not_run(why: &str) -> StoreError {
    StoreError::Failed(format!("an operation failed: {why}"))
}
