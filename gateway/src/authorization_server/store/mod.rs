//! What the authorization server keeps.
//!
//! A change is an operation over [`Rows`], run in a transaction: [`Store::write`] answers when it is durable. [`embedded`] is a redb
//! file that one process uses, [`shared`] a Redis or Valkey server that several use; [`engine`] is what both do. [`expiry`] removes
//! what has expired, [`followed`] is what other processes wrote, [`figures`] counts.

mod directory;
mod embedded;
mod engine;
mod error;
pub(crate) mod expiry;
mod figures;
mod followed;
#[cfg(feature = "redis")]
mod shared;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use mcp_gateway_oauth::store::{
    guess::Place,
    hint::NamedRow,
    rows::{Rows, StoreError},
};
use tokio::time::sleep;

use self::{
    embedded::EmbeddedStore,
    engine::{Engine, OPEN_PAUSE},
    figures::Figures,
};
pub(crate) use self::{
    engine::{Freshness, MAX_WAIT},
    error::OpenError,
    followed::Followed,
};
use crate::config::authorization_server::SharedStore;

/// The store. Clones are handles of the same one.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    engine: Arc<dyn Engine>,
    figures: Arc<Figures>,
    is_shared: bool,
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

    /// Connects to the store that several processes share. `directory` is made too: it has the control socket. Blocks.
    ///
    /// # Errors
    /// It does not answer, or others may use the directory.
    pub(crate) fn connect(settings: &SharedStore, directory: &Path) -> Result<Self, OpenError> {
        directory::prepare(directory)?;
        embedded::warn_of_unused(directory);
        connect(settings)
    }

    fn of(engine: EmbeddedStore) -> Self {
        Self {
            figures: engine.figures(),
            engine: Arc::new(engine),
            is_shared: false,
        }
    }

    /// Whether other processes use it too.
    pub(crate) const fn is_shared(&self) -> bool {
        self.is_shared
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
        self.change(operation, None).await
    }

    /// The same for an operation that must not have happened if it is answered with an error. Where the answer of a store on another
    /// machine is lost, `undo` is run when that can be reached again. It finds out by the rows whether there is something to undo.
    ///
    /// # Errors
    /// As [`Store::write`]. Until `undo` has run, the change may be there.
    pub(crate) async fn write_or_undo<T, F>(
        &self,
        operation: F,
        undo: fn(&mut dyn Rows, &T) -> Result<(), StoreError>,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Rows) -> Result<T, StoreError> + Send + 'static,
    {
        self.change(operation, Some(undo)).await
    }

    async fn change<T, F>(
        &self,
        operation: F,
        undo: Option<engine::Undo<T>>,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut dyn Rows) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = engine::job(operation, undo);
        self.engine.change(job).await?;
        let stopped = || Err(StoreError::Failed("it has stopped".to_owned()));
        answer.await.unwrap_or_else(|_| stopped())
    }

    /// Runs an operation soon, which nobody waits for. It is tried again while the store is away, for a few minutes.
    pub(crate) fn write_later<F>(&self, operation: F)
    where
        F: Fn(&mut dyn Rows) -> Result<(), StoreError> + Send + 'static,
    {
        self.engine.change_later(engine::later(operation));
    }

    /// Does what [`Store::write_later`] and [`Store::write_or_undo`] left to do. Runs until it is dropped.
    pub(crate) async fn settle(&self) {
        self.engine.settle().await;
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
        self.read_as(reading, Freshness::Latest).await
    }

    /// The same, perhaps over rows as this process saw them last, if it did: for a caller whose change reads them again.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub(crate) async fn read_as<T, F>(
        &self,
        reading: F,
        freshness: Freshness,
    ) -> Result<T, StoreError>
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
        self.engine.read(&mut run, freshness).await?;
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

    /// These rows, as this process saw them last, where it did; nothing where no other process uses the store.
    pub(crate) fn remembered(&self, places: &[Place]) -> Vec<NamedRow> {
        self.engine.remembered(places)
    }

    /// Remembers rows as another process saw them last. The store proves them before anything rests on them.
    pub(crate) fn suggest(&self, rows: Vec<NamedRow>) {
        self.engine.suggest(rows);
    }

    /// Rows of ended grants that other processes wrote since the last call; all of them after the first one. None where no other
    /// process writes.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn follow(&self) -> Result<Followed, StoreError> {
        self.engine.follow().await
    }

    /// Waits for a store that is closed for a moment.
    ///
    /// # Errors
    /// It is still closed after [`MAX_WAIT`].
    pub(crate) async fn wait_until_open(&self) -> Result<(), StoreError> {
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

#[cfg(feature = "redis")]
fn connect(settings: &SharedStore) -> Result<Store, OpenError> {
    let engine = shared::RemoteStore::open(settings)?;
    Ok(Store {
        figures: engine.figures(),
        engine: Arc::new(engine),
        is_shared: true,
    })
}

#[cfg(not(feature = "redis"))]
fn connect(_: &SharedStore) -> Result<Store, OpenError> {
    let why = "this program was built without it (feature redis)";
    Err(OpenError::Unreachable(why.to_owned()))
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
