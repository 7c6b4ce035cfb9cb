//! MCP: which method a request calls, and whether it is exactly one call. No other module depends on the MCP specification.
//!
//! * [`method`]: one row for each method, with everything that follows from the method alone. **A new method is a new row there.**
//! * [`message`]: one message, read once from the body and owned. [`envelope`] reads it strictly, [`references`] finds what it uses
//!   in addition to its name, [`operation`] is what policies and limits see of it.
//! * [`headers`]: the headers that mirror the message, and the protocol version, which [`version`] and [`supported`] check.
//! * [`change`]: whether it can change something. [`tasks`]: how it uses tasks. [`listed`]: the lists of a server.

pub mod change;
pub mod envelope;
pub mod headers;
pub mod listed;
pub(crate) mod member;
pub mod message;
pub mod method;
pub mod operation;
pub(crate) mod references;
pub mod supported;
pub mod tasks;
pub mod version;
