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
    pub(crate) fn next(&self) -> String {
        /// Odd, so that multiplying by it maps 64 bits one to one (2^64 divided by the golden ratio).
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let id = count.wrapping_mul(SPREAD).to_be_bytes();
        hex(id)
    }
}

/// In hexadecimal. Each request needs one, and `format!` costs several times as much.
fn hex(bytes: [u8; 8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let mut text = String::with_capacity(16);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
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
        assert!(made.iter().all(|id| id.len() == 16));
    }
}
