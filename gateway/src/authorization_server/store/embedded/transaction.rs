//! One transaction of redb: many operations, one durable commit.
//!
//! Each commit also records which pages are in use (redb's quick repair), and is written in two phases. So a store opens at once
//! after a crash, however large it is; without the record redb would read all of it first.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mcp_gateway_oauth::store::{
    overlay::Overlay,
    rows::{Rows, StoreError},
};
use redb::{Database, ReadableDatabase};

use crate::authorization_server::store::engine::Job;

use super::rows::{ReadRows, WriteRows, failed};

/// Runs the jobs one after the other, each seeing the changes of those before it, and commits the changes of those that want it.
/// Returns whether there were any; without, nothing is committed.
///
/// # Errors
/// Nothing was committed, or it is not known to be on the disk: the database must be opened again.
pub(super) fn commit(database: &Database, jobs: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
    commit_each(
        database,
        jobs.iter_mut()
            .map(|job| |rows: &mut dyn Rows| job.run(rows)),
    )
}

/// The same with operations that say whether their changes are kept.
fn commit_each<O: FnOnce(&mut dyn Rows) -> bool>(
    database: &Database,
    operations: impl Iterator<Item = O>,
) -> Result<bool, StoreError> {
    caught(|| {
        let mut transaction = database.begin_write().map_err(failed)?;
        transaction.set_quick_repair(true);
        let mut has_changes = false;
        let mut rows = WriteRows::open(&transaction)?;
        for operation in operations {
            let mut overlay = Overlay::new(&rows);
            if operation(&mut overlay) {
                let changes = overlay.into_changes();
                has_changes |= !changes.is_empty();
                rows.apply(changes)?;
            }
        }
        drop(rows);
        if has_changes {
            transaction.commit().map_err(failed)?;
        } else {
            transaction.abort().map_err(failed)?;
        }
        Ok(has_changes)
    })
}

/// Runs one operation in a transaction of its own.
///
/// # Errors
/// Its own error, or that of the store.
pub(super) fn change<T>(
    database: &Database,
    operation: impl FnOnce(&mut dyn Rows) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut result = None;
    let keep = |rows: &mut dyn Rows| result.insert(operation(rows)).is_ok();
    commit_each(database, std::iter::once(keep))?;
    result.unwrap_or_else(|| Err(failed("the operation did not run")))
}

/// Reads the rows as the last commit left them.
///
/// # Errors
/// The error of `read`, or that of the store.
pub(super) fn read<T>(
    database: &Database,
    read: impl FnOnce(&dyn Rows) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    caught(|| {
        let rows = ReadRows::new(database.begin_read().map_err(failed)?);
        read(&rows)
    })
}

/// A page that was damaged on the disk may cause a panic in redb. It must not end the thread.
pub(super) fn caught<T>(run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Err(failed(
            "a page or an operation is faulty: see the panic above",
        ))
    })
}
