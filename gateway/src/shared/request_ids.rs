//! Request ids of 16 hexadecimal digits: a random start and a counter, spread so that consecutive ids do not look similar.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes the ids of one process.
#[derive(Debug)]
pub(crate) struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness, ids start at zero. They distinguish requests and need not be secret.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        Self {
            next: AtomicU64::new(u64::from_le_bytes(seed)),
        }
    }

    /// An id that is unique in this process.
    pub(crate) fn next(&self) -> RequestId {
        /// Odd, so that multiplying by it maps 64 bits one to one (2^64 divided by the golden ratio).
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId::of(count.wrapping_mul(SPREAD))
    }
}

/// The id of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RequestId([u8; 16]);

impl RequestId {
    /// The number in hexadecimal.
    fn of(number: u64) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut shift = u64::BITS;
        Self(std::array::from_fn(|_| {
            shift -= 4;
            let nibble = (number >> shift) as usize & 15;
            DIGITS.get(nibble).copied().unwrap_or_default()
        }))
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn request_ids_differ() {
        let ids = RequestIds::new();
        let made: HashSet<_> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.as_str().len() == 16));
        assert_eq!(
            RequestId::of(0x0123_4567_89ab_cdef).as_str(),
            "0123456789abcdef"
        );
    }
}
