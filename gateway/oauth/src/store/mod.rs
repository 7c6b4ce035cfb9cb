//! What survives a restart: rows in tables. [`rows`] is the interface that every store has; [`table`] types it, [`text`] are values in
//! rows; [`expiry`] removes what has expired; [`by_subject`] finds the rows of a user; [`memory`] is a store for tests.

pub mod by_subject;
pub mod expiry;
pub mod memory;
pub mod rows;
pub mod table;
pub mod text;
