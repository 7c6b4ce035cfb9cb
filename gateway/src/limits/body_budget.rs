//! Bodies in memory, counted in bytes over all requests.
//!
//! A body is read whole before its request is decided; a client may take a minute to send it, and an upstream as long to
//! take it. An answer that is edited is read whole as well, event by event where it is a stream. So all bodies together have
//! a limit: what comes beyond it is told to try again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use mcp_gateway_core::refusal::reason::Reason;

/// Bytes of all bodies together, unless configured or memory is little: 32 of the largest.
const DEFAULT_BYTES: usize = 128 * 1024 * 1024;

/// The share of all memory that bodies may take unless configured, as a divisor: while one grows it may be there twice.
const MEMORY_DIVISOR: usize = 8;

/// What bodies may take together, in bytes, where it is not configured.
pub(crate) fn default_limit(memory: Option<usize>) -> usize {
    memory.map_or(DEFAULT_BYTES, |memory| {
        DEFAULT_BYTES.min(memory / MEMORY_DIVISOR)
    })
}

/// The bytes of all bodies in memory.
#[derive(Debug, Default)]
pub(crate) struct Bodies(AtomicUsize);

impl Bodies {
    /// A body of which nothing is here yet.
    pub(crate) fn begin(self: &Arc<Self>) -> Held {
        Held {
            bodies: self.clone(),
            bytes: 0,
        }
    }
}

/// What one body takes; dropping it gives that back.
#[derive(Debug)]
pub(crate) struct Held {
    bodies: Arc<Bodies>,
    bytes: usize,
}

impl Held {
    /// Takes room for more of this body.
    ///
    /// # Errors
    /// [`Reason::BodiesTooLarge`] where all bodies together would take more than `limit` bytes.
    pub(crate) fn grow(&mut self, bytes: usize, limit: usize) -> Result<(), Reason> {
        self.bytes += bytes;
        let before = self.bodies.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            return Err(Reason::BodiesTooLarge);
        }
        Ok(())
    }

    /// Takes room for this much in all, or gives back what was more.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub(crate) fn resize(&mut self, bytes: usize, limit: usize) -> Result<(), Reason> {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes, limit);
        }
        self.bodies
            .0
            .fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        Ok(())
    }

    /// The whole body, which takes its room until nobody has it any more.
    pub(crate) fn keep(self, body: Bytes) -> Bytes {
        Bytes::from_owner(Kept { body, _held: self })
    }
}

struct Kept {
    body: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_share_one_limit_and_give_back_what_they_took() {
        let bodies = Arc::new(Bodies::default());
        let (mut one, mut other) = (bodies.begin(), bodies.begin());
        assert_eq!(one.grow(60, 100), Ok(()));
        assert_eq!(other.grow(40, 100), Ok(()));
        assert_eq!(other.grow(1, 100), Err(Reason::BodiesTooLarge));
        drop(other);
        assert_eq!(one.grow(40, 100), Ok(()));
        drop(one);
        assert_eq!(bodies.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_may_shrink() {
        let bodies = Arc::new(Bodies::default());
        let mut held = bodies.begin();
        for (bytes, taken) in [(60, 60), (20, 20), (20, 20), (100, 100), (0, 0)] {
            assert_eq!(held.resize(bytes, 100), Ok(()));
            assert_eq!(bodies.0.load(Ordering::Relaxed), taken);
        }
        assert_eq!(held.resize(101, 100), Err(Reason::BodiesTooLarge));
        drop(held);
        assert_eq!(bodies.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_whole_body_takes_its_room_until_nobody_has_it() {
        let bodies = Arc::new(Bodies::default());
        let mut held = bodies.begin();
        assert_eq!(held.grow(4, 100), Ok(()));
        let body = held.keep(Bytes::from_static(b"body"));
        let part = body.slice(1..2);
        drop(body);
        assert_eq!((&*part, bodies.0.load(Ordering::Relaxed)), (&b"o"[..], 4));
        drop(part);
        assert_eq!(bodies.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn little_memory_means_fewer_bodies() {
        assert_eq!(default_limit(None), DEFAULT_BYTES);
        assert_eq!(default_limit(Some(1 << 40)), DEFAULT_BYTES);
        assert_eq!(default_limit(Some(256 << 20)), 32 << 20);
    }
}
