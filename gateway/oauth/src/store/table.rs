//! Typed rows. A row is JSON: a newer version adds members with defaults, and old rows stay readable.
//!
//! A row with an end also has an entry in the table of expiries: [`insert`]. The entry is only a reminder to look: when its time
//! comes, the row itself says when it ends, and is looked at again then. So a row whose end moves is written without touching its
//! entry.

use mcp_gateway_core::time::UnixTime;
use serde::{Serialize, de::DeserializeOwned};

use super::rows::{Rows, StoreError, Table};

/// A row of a table.
pub trait Row: Serialize + DeserializeOwned {
    /// The table.
    const TABLE: Table;

    /// When it may be removed; none if never.
    fn ends(&self) -> Option<UnixTime>;
}

/// The row of this type under `key`.
///
/// # Errors
/// [`StoreError`].
pub fn get<R: Row>(rows: &dyn Rows, key: &[u8]) -> Result<Option<R>, StoreError> {
    let row = rows.get(R::TABLE, key)?;
    row.map(|bytes| read(R::TABLE, &bytes)).transpose()
}

/// Writes a row that replaces one which has its expiry already.
///
/// # Errors
/// [`StoreError`].
pub fn put<R: Row>(rows: &mut dyn Rows, key: &[u8], row: &R) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(row).map_err(|error| StoreError::Row {
        table: R::TABLE,
        problem: error.to_string(),
    })?;
    match row.ends() {
        Some(ends) => rows.put_until(R::TABLE, key, &bytes, ends),
        None => rows.put(R::TABLE, key, &bytes),
    }
}

/// Writes a new row, and when to look whether it has expired.
///
/// # Errors
/// [`StoreError`].
pub fn insert<R: Row>(rows: &mut dyn Rows, key: &[u8], row: &R) -> Result<(), StoreError> {
    put(rows, key, row)?;
    row.ends()
        .map_or(Ok(()), |ends| remind(rows, ends, R::TABLE, key))
}

/// Reads a row.
///
/// # Errors
/// [`StoreError::Row`].
pub fn read<R: DeserializeOwned>(table: Table, bytes: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Row {
        table,
        problem: error.to_string(),
    })
}

/// Writes down to look at a row at this time.
///
/// # Errors
/// [`StoreError`].
pub fn remind(
    rows: &mut dyn Rows,
    at: UnixTime,
    table: Table,
    key: &[u8],
) -> Result<(), StoreError> {
    let seconds = u64::try_from(at.secs()).unwrap_or(0).to_be_bytes();
    let entry = [&seconds[..], &[table as u8], key].concat();
    rows.put(Table::Expiry, &entry, &[])
}
