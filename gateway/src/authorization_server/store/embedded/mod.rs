//! The store of one process: a redb file.
//!
//! One thread writes ([`writer`]); many operations share a commit ([`transaction`]), and each runs over an overlay, so that one
//! that fails takes no other down. [`file`](mod@file) opens the file, [`schema`] migrates it. [`place`] is open or closed.

mod file;
mod place;
mod rows;
mod schema;
mod transaction;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use async_trait::async_trait;
use mcp_gateway_oauth::store::rows::StoreError;

pub(super) use self::file::warn_of_unused;
use self::{
    place::{Opener, Place},
    writer::{Order, Writer, closed},
};
use super::{
    engine::{Engine, Freshness, Job, Reading},
    error::OpenError,
    figures::Figures,
    followed::Followed,
};

/// The most changes that wait for the writer. Another one is refused.
pub(super) const MAX_WAITING: usize = 1024;

/// A redb file and the thread that writes it.
#[derive(Debug)]
pub(super) struct EmbeddedStore {
    place: Arc<Place>,
    figures: Arc<Figures>,
    /// None when the store is being dropped.
    orders: Option<SyncSender<Order>>,
    writer: Option<thread::JoinHandle<()>>,
}

impl EmbeddedStore {
    /// Opens the store in `directory`, or makes it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        let directory = directory.to_owned();
        Self::open_with(Box::new(move || file::open(&directory)))
    }

    /// Opens a database by `opener`, now and whenever it must be opened again.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(super) fn open_with(opener: Opener) -> Result<Self, OpenError> {
        let place = Arc::new(Place::open(opener)?);
        let figures = Arc::<Figures>::default();
        let (orders, received) = sync_channel(MAX_WAITING);
        let writer = Writer::new(place.clone(), received, figures.clone());
        let writer = thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run())?;
        Ok(Self {
            place,
            figures,
            orders: Some(orders),
            writer: Some(writer),
        })
    }

    /// What the store did.
    pub(super) fn figures(&self) -> Arc<Figures> {
        self.figures.clone()
    }

    fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.figures.begin_waiting();
        let submitted = self.order(Order::Change(job, Instant::now()));
        if submitted.is_err() {
            self.figures.end_waiting();
        }
        submitted
    }

    fn order(&self, order: Order) -> Result<(), StoreError> {
        let sent = self.orders.as_ref().map(|orders| orders.try_send(order));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(StoreError::Failed(
                "too many changes wait for it".to_owned(),
            )),
        }
    }
}

#[async_trait]
impl Engine for EmbeddedStore {
    async fn change(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.submit(job)
    }

    async fn read(&self, reading: Reading<'_>, _: Freshness) -> Result<(), StoreError> {
        self.read_now(reading)
    }

    fn read_now(&self, reading: Reading<'_>) -> Result<(), StoreError> {
        let read = self
            .place
            .with(|database| transaction::read(database, reading));
        let read = read.unwrap_or_else(|| Err(closed()));
        if read.is_err() && self.is_open() {
            // Nobody has to look if the queue is full: the next change does.
            let _ = self.order(Order::Check);
        }
        read
    }

    /// Nobody else writes.
    async fn follow(&self) -> Result<Followed, StoreError> {
        Ok(Followed::default())
    }

    fn change_later(&self, job: Box<dyn Job>) {
        // Refused only where too many changes wait.
        let _ = self.submit(job);
    }

    /// The disk answers every change.
    async fn settle(&self) {
        std::future::pending().await
    }

    fn is_open(&self) -> bool {
        self.place.is_open()
    }

    fn close(&self) {
        let (closed, is_closed) = sync_channel(1);
        if let Some(orders) = &self.orders
            && orders.send(Order::Close(closed)).is_ok()
        {
            // Fails only if the writer is gone, and the database with it.
            let _ = is_closed.recv();
        }
    }

    fn reopen(&self) -> Result<(), OpenError> {
        self.place.reopen()
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        // The writer finishes what waits, closes the database and ends.
        self.orders = None;
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != thread::current().id()
        {
            let _ = writer.join();
        }
    }
}
