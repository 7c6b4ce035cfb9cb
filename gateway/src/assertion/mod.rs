//! Assertions about callers, for the upstreams that want to know for certain who calls (`resources[].upstream.assertion`).
//!
//! [`keys`] are the keys that sign them, and the key set in which upstreams find them. An [`asserter`] is for one resource: it
//! adds the headers to a request. [`signed`] are the assertions that are sent again.

pub(crate) mod asserter;
pub(crate) mod keys;
mod signed;
