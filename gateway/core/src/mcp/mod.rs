//! What is called, and is it one call? The only room that knows MCP.
//!
//! * [`method`]: one row for each method; everything that follows from a method alone. **A new method is a new row there.**
//! * [`message`]: one message, read once from the body and owned. [`envelope`] is its strict reading, [`references`] what it touches
//!   besides its name, [`operation`] what policies and limits see of it.
//! * [`headers`]: the headers that mirror the message, and the protocol version; [`version`] and [`supported`] judge it.
//! * [`change`]: whether it may change something. [`tasks`]: what it has to do with tasks. [`listed`]: the lists of a server.

pub mod change;
pub mod envelope;
pub mod headers;
pub mod listed;
mod member;
pub mod message;
pub mod method;
pub mod operation;
pub(crate) mod references;
pub mod supported;
pub mod tasks;
pub mod version;
