//! Bytes of bodies in memory, counted over all requests (`limits.bodies_bytes`).
//!
//! A body is read completely before its request is decided; a client may take a minute to send it, and an upstream as long
//! to receive it. An answer that is edited is read completely as well, or event by event in a stream. So all bodies together
//! have a limit: a request beyond it is refused, and the client may retry later.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use mcp_gateway_core::refusal::reason::Reason;

/// Default limit of all bodies together, in bytes, unless memory is small: 32 of the largest bodies.
const DEFAULT_BYTES: usize = 128 * 1024 * 1024;

/// The default share of the memory that bodies may take, as a divisor. A body that grows may be in memory twice.
const MEMORY_DIVISOR: usize = 8;

/// The limit of all bodies together, in bytes, where it is not configured.
pub(crate) fn default_limit(memory: Option<usize>) -> usize {
    memory.map_or(DEFAULT_BYTES, |memory| {
        DEFAULT_BYTES.min(memory / MEMORY_DIVISOR)
    })
}

/// The bytes of all bodies in memory.
#[derive(Debug, Default)]
pub(crate) struct BodyBudget(AtomicUsize);

impl BodyBudget {
    /// An empty reservation, for one body.
    pub(crate) fn reservation(self: &Arc<Self>) -> BodyReservation {
        BodyReservation {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// The bytes of one body; dropping it releases them.
#[derive(Debug)]
pub(crate) struct BodyReservation {
    budget: Arc<BodyBudget>,
    bytes: usize,
}

impl BodyReservation {
    /// Reserves more bytes for this body. Refused bytes count until the reservation is dropped.
    ///
    /// # Errors
    /// [`Reason::BodiesTooLarge`] where all bodies together would take more than `limit` bytes.
    pub(crate) fn grow(&mut self, bytes: usize, limit: usize) -> Result<(), Reason> {
        self.bytes += bytes;
        let before = self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            return Err(Reason::BodiesTooLarge);
        }
        Ok(())
    }

    /// Sets the reservation to this number of bytes.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub(crate) fn resize(&mut self, bytes: usize, limit: usize) -> Result<(), Reason> {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes, limit);
        }
        self.budget
            .0
            .fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        Ok(())
    }

    /// Ties the reservation to the whole body: it counts until the last part is dropped.
    pub(crate) fn attach_to(self, body: Bytes) -> Bytes {
        Bytes::from_owner(ReservedBody {
            body,
            _reservation: self,
        })
    }
}

struct ReservedBody {
    body: Bytes,
    _reservation: BodyReservation,
}

impl AsRef<[u8]> for ReservedBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_share_one_limit_and_release_their_bytes() {
        let budget = Arc::new(BodyBudget::default());
        let (mut one, mut other) = (budget.reservation(), budget.reservation());
        assert_eq!(one.grow(60, 100), Ok(()));
        assert_eq!(other.grow(40, 100), Ok(()));
        assert_eq!(other.grow(1, 100), Err(Reason::BodiesTooLarge));
        drop(other);
        assert_eq!(one.grow(40, 100), Ok(()));
        drop(one);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_may_shrink() {
        let budget = Arc::new(BodyBudget::default());
        let mut reservation = budget.reservation();
        for (bytes, taken) in [(60, 60), (20, 20), (20, 20), (100, 100), (0, 0)] {
            assert_eq!(reservation.resize(bytes, 100), Ok(()));
            assert_eq!(budget.0.load(Ordering::Relaxed), taken);
        }
        assert_eq!(reservation.resize(101, 100), Err(Reason::BodiesTooLarge));
        drop(reservation);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_whole_body_counts_until_its_last_holder_drops_it() {
        let budget = Arc::new(BodyBudget::default());
        let mut reservation = budget.reservation();
        assert_eq!(reservation.grow(4, 100), Ok(()));
        let body = reservation.attach_to(Bytes::from_static(b"body"));
        let part = body.slice(1..2);
        drop(body);
        assert_eq!((&*part, budget.0.load(Ordering::Relaxed)), (&b"o"[..], 4));
        drop(part);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn with_little_memory_the_default_limit_is_smaller() {
        assert_eq!(default_limit(None), DEFAULT_BYTES);
        assert_eq!(default_limit(Some(1 << 40)), DEFAULT_BYTES);
        assert_eq!(default_limit(Some(256 << 20)), 32 << 20);
    }
}
