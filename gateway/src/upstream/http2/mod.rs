//! HTTP/2 towards one upstream: many requests share a connection.
//!
//! * [`bounds`] are the limits of all of them;
//! * [`connections`] is the set of open connections; it opens one more when no stream is free;
//! * [`usage`] counts the streams of one connection;
//! * [`driver`] is the task that a connection lives in: it notices a dead server and an idle connection;
//! * [`stream`] is one request on one stream, and the body of its answer.
//!
//! The `h2` crate reads and writes the frames. hyper's client is not used here: it takes an answer that the server resets with
//! `CANCEL` for complete, and does not say which requests a server has not processed.

mod bounds;
mod connections;
mod driver;
mod stream;
#[cfg(test)]
mod test_peer;
#[cfg(test)]
mod tests;
mod usage;

pub(super) use connections::{Connections, Sent};
pub(crate) use stream::StreamBody;
