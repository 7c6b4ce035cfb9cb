//! What survives a restart: rows in tables. [`rows`] is the interface that every store has; [`table`] types it, [`text`] are values in
//! rows; [`expiry`] removes what has expired; [`by_subject`] finds the rows of a user; [`memory`] is a store for tests.
//! [`overlay`] keeps what an operation changes until it is committed, [`guess`] lets it run before all rows are known, [`hint`] are rows
//! that travel with a token.

pub mod by_subject;
pub mod expiry;
pub mod guess;
pub mod hint;
pub mod memory;
pub mod overlay;
pub mod rows;
pub mod table;
pub mod text;
