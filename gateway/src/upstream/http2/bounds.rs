//! The limits of HTTP/2 towards one upstream: what a connection holds, and how long anything may take.

use std::time::Duration;

/// Streams of one connection, at most; fewer if the server allows fewer.
pub(super) const MAX_STREAMS: usize = 128;

/// Connections to one upstream, at most. Requests beyond their streams wait for a stream until their own deadline.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// Bytes of one answer that the server may send before the client has read them.
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;

/// Bytes of all answers of a connection that the server may send before the clients have read them. All streams together do not
/// exceed it, so a client that reads slowly stops no stream but its own.
pub(super) const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// What small DATA frames of a connection may cost in memory beyond their content until they are read, in bytes: each one below
/// 256 bytes counts the difference.
pub(super) const FRAME_OVERHEAD: usize = 16 * 1024 * 1024;

/// Bytes of a request body that wait in a connection to be written. The rest waits with its request.
pub(super) const SEND_BUFFER: usize = 64 * 1024;

/// Size of all header fields of an answer, in bytes, with 32 for each field (RFC 9113 §6.5.2).
pub(super) const HEADER_LIST: u32 = 16 * 1024;

/// Streams that were reset by the gateway and are remembered, because frames for them may still arrive; and for how long.
pub(super) const REMEMBERED_RESETS: usize = 4096;
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(1);

/// Faults of streams that close their connection, when it had so many since it was opened.
pub(super) const STREAM_FAULTS: usize = 64 * 1024;

/// Streams of one connection that clients cancelled, after which it takes no further ones: some servers close a connection with
/// many of them, and would break off the answers of other callers.
pub(super) const MAX_CANCELLED: usize = 100;

/// How often a request is sent, at most, when connections close without having processed it.
pub(super) const MAX_SENDS: usize = 10;

/// Pause before another connection is opened after that failed while others are open.
pub(super) const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// How long a new connection waits for its first request, at least.
pub(super) const UNUSED: Duration = Duration::from_secs(1);

/// How long a connection without streams may take to close.
pub(super) const CLOSE: Duration = Duration::from_secs(5);

/// When the server is asked for a sign of life (PING), and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pings {
    /// Always, after this time.
    pub(super) interval: Duration,
    /// Earlier, if a request got no answer, but not more often than this.
    pub(super) pause: Duration,
    /// Without an answer for so long, the connection takes no further streams: the server may only be busy.
    pub(super) late: Duration,
    /// Without an answer for so long, the server counts as dead, and the streams break off.
    pub(super) deadline: Duration,
}

pub(super) const PINGS: Pings = Pings {
    interval: Duration::from_secs(30),
    pause: Duration::from_secs(5),
    late: Duration::from_secs(10),
    deadline: Duration::from_secs(120),
};
