//! How many bytes a client may send before the head of its request is complete.
//!
//! A head is collected until its last line, and its size can be checked only then. So the transport counts the bytes, and a read
//! beyond the allowance fails.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that a connection may still read. Shared by the transport, which counts, and the connection, which starts and
/// ends the count.
#[derive(Debug)]
pub(crate) struct HeadAllowance {
    left: AtomicUsize,
}

impl HeadAllowance {
    /// No limit: no head is being read.
    pub(crate) const fn unlimited() -> Self {
        Self {
            left: AtomicUsize::new(usize::MAX),
        }
    }

    /// Starts a head of at most this many bytes.
    pub(crate) fn begin(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// The head is complete. What follows has other limits.
    pub(crate) fn end(&self) {
        self.begin(usize::MAX);
    }

    /// Subtracts the bytes that were read. Whether they were within the allowance.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let left = self.left();
        if left != usize::MAX {
            self.begin(left.saturating_sub(bytes));
        }
        bytes <= left
    }

    /// The bytes left.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether the head has used all of it.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_may_use_its_allowance_and_no_more() {
        let allowance = HeadAllowance::unlimited();
        assert!(allowance.take(1 << 40));
        allowance.begin(10);
        assert!(allowance.take(4) && !allowance.is_used_up());
        assert!(!allowance.take(7) && allowance.is_used_up());
        allowance.end();
        assert!(allowance.take(1 << 40) && !allowance.is_used_up());
    }
}
