//! HTTP/2 towards one upstream: many requests share a connection.
//!
//! * [`connections`] is the set of open connections; it opens one more when no stream is free;
//! * [`usage`] counts the streams of one connection;
//! * [`driver`] is the task that a connection lives in: it notices a dead server and an idle connection;
//! * [`stream`] is one request on one stream, and the body of its answer.
//!
//! The `h2` crate reads and writes the frames. hyper's client is not used here: it takes an answer that the server resets with
//! `CANCEL` for complete, and does not say which requests a server has not processed.

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

use std::time::Duration;

/// Streams of one connection, at most; fewer if the server allows fewer.
const MAX_STREAMS: usize = 128;

/// Connections to one upstream, at most. Requests beyond their streams wait for a stream until their own deadline.
const MAX_CONNECTIONS: usize = 256;

/// Bytes of one answer that the server may send before the client has read them.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes of all answers of a connection that the server may send before the clients have read them. All streams together do not
/// exceed it, so a client that reads slowly stops no stream but its own.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// What small DATA frames of a connection may cost in memory beyond their content until they are read, in bytes: each one below
/// 256 bytes counts the difference.
const FRAME_OVERHEAD: usize = 16 * 1024 * 1024;

/// Bytes of a request body that wait in a connection to be written. The rest waits with its request.
const SEND_BUFFER: usize = 64 * 1024;

/// Size of all header fields of an answer, in bytes, with 32 for each field (RFC 9113 §6.5.2).
const HEADER_LIST: u32 = 16 * 1024;

/// Streams that were reset by the gateway and are remembered, because frames for them may still arrive; and for how long.
const REMEMBERED_RESETS: usize = 4096;
const REMEMBERED_FOR: Duration = Duration::from_secs(1);

/// Faults of streams that close their connection, when it had so many since it was opened.
const STREAM_FAULTS: usize = 64 * 1024;

/// How often a request is sent, at most, when connections close without having processed it.
const MAX_SENDS: usize = 10;

/// Pause before another connection is opened after that failed while others are open.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// How long a new connection waits for its first request, at least.
const UNUSED: Duration = Duration::from_secs(1);

/// How long a connection without streams may take to close.
const CLOSE: Duration = Duration::from_secs(5);

/// When the server is asked for a sign of life (PING), and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pings {
    /// Always, after this time.
    interval: Duration,
    /// Earlier, if a request got no answer, but not more often than this.
    pause: Duration,
    /// The deadline of the answer.
    deadline: Duration,
}

const PINGS: Pings = Pings {
    interval: Duration::from_secs(30),
    pause: Duration::from_secs(5),
    deadline: Duration::from_secs(10),
};
