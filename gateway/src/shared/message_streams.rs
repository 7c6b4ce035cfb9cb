//! The event streams of HTTP+SSE (MCP 2024-11-05) that this process has open: a message whose stream has ended is not forwarded.
//!
//! The table has an entry for each open stream, so `limits.listening_streams` bounds it. Of a stream of another process, another
//! replica or the one before an upgrade, nothing is known here: its MCP server decides.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use mcp_gateway_core::http_sse::message_session::StreamId;

/// The open streams of this process.
#[derive(Debug)]
pub(crate) struct MessageStreams {
    /// Distinguishes this process from others.
    process: u64,
    next: AtomicU64,
    open: Mutex<HashSet<u64>>,
}

/// A stream that is open; dropping it closes it.
#[derive(Debug)]
pub(crate) struct OpenStream {
    id: StreamId,
    streams: Arc<MessageStreams>,
}

impl MessageStreams {
    pub(crate) fn new() -> Self {
        let mut process = [0; 8];
        // Without randomness, streams of another process may be taken for closed ones of this: their clients connect again.
        let _ = aws_lc_rs::rand::fill(&mut process);
        Self {
            process: u64::from_le_bytes(process),
            next: AtomicU64::new(0),
            open: Mutex::default(),
        }
    }

    /// One more open stream.
    pub(crate) fn open(self: &Arc<Self>) -> OpenStream {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.numbers().insert(number);
        OpenStream {
            id: StreamId {
                process: self.process,
                number,
            },
            streams: self.clone(),
        }
    }

    /// Whether this is a stream of this process that has ended.
    pub(crate) fn has_ended(&self, id: StreamId) -> bool {
        id.process == self.process && !self.numbers().contains(&id.number)
    }

    fn numbers(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenStream {
    /// Its id.
    pub(crate) const fn id(&self) -> StreamId {
        self.id
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.numbers().remove(&self.id.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_ended_once_it_is_dropped() {
        let streams = Arc::new(MessageStreams::new());
        let (one, two) = (streams.open(), streams.open());
        let (first, second) = (one.id(), two.id());
        assert_ne!(first, second);
        assert!(!streams.has_ended(first));
        drop(one);
        assert!(streams.has_ended(first));
        assert!(!streams.has_ended(second));
        drop(two);
        assert!(streams.numbers().is_empty());
    }

    #[test]
    fn nothing_is_known_of_the_streams_of_another_process() {
        let (own, other) = (MessageStreams::new(), Arc::new(MessageStreams::new()));
        let id = other.open().id();
        assert!(!own.has_ended(id));
    }
}
