//! What the authorization server keeps on disk.
//!
//! A change is an operation over [`Rows`], run in a transaction: [`Store::write`] answers when it is durable. [`embedded`] is the one
//! kind of store there is: a redb file that one process uses. [`engine`] is what another kind, one that several processes share,
//! would implement. [`expiry`] removes what has expired.

mod embedded;
mod engine;
mod error;
pub(crate) mod expiry;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mcp_gateway_oauth::store::rows::{Rows, StoreError};
use tokio::time::sleep;

use self::{
    embedded::{EmbeddedStore, Figures},
    engine::{Engine, OPEN_PAUSE},
};
pub(crate) use self::{engine::MAX_WAIT, error::OpenError};

/// The store. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    engine: Arc<dyn Engine>,
    figures: Arc<Figures>,
}

impl Store {
    /// Opens the store in `directory`; makes both where there is none. Blocks.
    ///
    /// # Errors
    /// Another process has it, it is damaged, something else or of a newer version, or others may use the directory.
    pub(crate) fn open(directory: &Path) -> Result<Self, OpenError> {
        EmbeddedStore::open(directory).map(Self::of)
    }

    /// The same; waits at most so long for another process that closes the store.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open_waiting(directory: &Path, wait: Duration) -> Result<Self, OpenError> {
        retry_while_in_use(wait, || Self::open(directory))
    }

    fn of(engine: EmbeddedStore) -> Self {
        Self {
            figures: engine.figures(),
            engine: Arc::new(engine),
        }
    }

    /// Runs an operation in a transaction, and returns when its changes are durable. An operation that fails changes nothing. It may
    /// be run more than once, so it has no effect beside its rows and its result. If the caller gives up, it may or may not run.
    ///
    /// # Errors
    /// Its own error; or too many changes wait, the store is closed, or the disk refused. Then nothing was changed; only when the
    /// disk fails at the end of a commit may a change have been kept that is reported as failed.
    pub(crate) async fn write<T, F>(&self, operation: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Rows) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = engine::job(operation);
        self.engine.change(job).await?;
        let stopped = || Err(StoreError::Failed("it has stopped".to_owned()));
        answer.await.unwrap_or_else(|_| stopped())
    }

    /// Reads the rows as the last commit left them. Waits for a store that is closed for a moment. A reading may be run more than once,
    /// so it has no effect beside its result.
    ///
    /// # Errors
    /// Its own error; or the store is still closed after [`MAX_WAIT`], or cannot be read.
    pub(crate) async fn read<T, F>(&self, reading: F) -> Result<T, StoreError>
    where
        T: Send,
        F: Fn(&dyn Rows) -> Result<T, StoreError> + Send,
    {
        self.wait_until_open().await?;
        let mut result = None;
        let found = &mut result;
        let mut run = move |rows: &dyn Rows| {
            *found = Some(reading(rows)?);
            Ok(())
        };
        self.engine.read(&mut run).await?;
        result.ok_or_else(not_run)
    }

    /// The same for a caller that cannot wait. Blocks as long as the disk needs.
    ///
    /// # Errors
    /// As [`Store::read`]; or the store is closed, or on another machine.
    pub(crate) fn read_now<T: Send>(
        &self,
        reading: impl Fn(&dyn Rows) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let mut result = None;
        let found = &mut result;
        let mut run = move |rows: &dyn Rows| {
            *found = Some(reading(rows)?);
            Ok(())
        };
        self.engine.read_now(&mut run)?;
        result.ok_or_else(not_run)
    }

    /// Waits for a store that is closed for a moment.
    ///
    /// # Errors
    /// It is still closed after [`MAX_WAIT`].
    async fn wait_until_open(&self) -> Result<(), StoreError> {
        let begun = Instant::now();
        while !self.engine.is_open() {
            if begun.elapsed() >= MAX_WAIT {
                return Err(StoreError::Failed("it is closed".to_owned()));
            }
            sleep(OPEN_PAUSE).await;
        }
        Ok(())
    }

    /// Makes all changes durable that were asked for before, then lets another process have the store. Blocks. Later requests wait
    /// for [`Store::reopen`], at most [`MAX_WAIT`].
    pub(crate) fn close(&self) {
        self.engine.close();
    }

    /// Takes the store back after [`Store::close`]. Blocks: it waits at most [`MAX_WAIT`] for a process that ends.
    ///
    /// # Errors
    /// It cannot be opened. It is tried again with later changes.
    pub(crate) fn reopen(&self) -> Result<(), OpenError> {
        retry_while_in_use(MAX_WAIT, || self.engine.reopen())
    }

    /// Whether the store can be used now.
    pub(crate) fn is_open(&self) -> bool {
        self.engine.is_open()
    }

    /// What the store did since the start of the process.
    pub(crate) fn figures(&self) -> &Figures {
        &self.figures
    }
}

fn not_run() -> StoreError {
    StoreError::Failed("the reading did not run".to_owned())
}

fn retry_while_in_use<T>(
    wait: Duration,
    open: impl Fn() -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let begun = Instant::now();
    loop {
        match open() {
            Err(error) if error.is_in_use() && begun.elapsed() < wait => thread::sleep(OPEN_PAUSE),
            opened => return opened,
        }
    }
}
