//! How much a client may send before its request's head is whole.
//!
//! Pingora gathers a head of up to 1 MiB before anybody can judge it, and parses it anew at every read. The transport
//! counts instead, and fails the read that goes beyond.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes a connection may still read; shared by the transport, which counts, and the connection, which knows when a
/// head begins and ends.
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

    /// A head begins, and may take this many bytes.
    pub(crate) fn begin(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// The head is whole: what follows has limits of its own.
    pub(crate) fn end(&self) {
        self.begin(usize::MAX);
    }

    /// Takes what was read off. Whether it was still allowed.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let left = self.left();
        if left != usize::MAX {
            self.begin(left.saturating_sub(bytes));
        }
        bytes <= left
    }

    /// The bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether a head has used it up.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_may_take_what_is_allowed_and_no_more() {
        let allowance = HeadAllowance::unlimited();
        assert!(allowance.take(1 << 40));
        allowance.begin(10);
        assert!(allowance.take(4) && !allowance.is_used_up());
        assert!(!allowance.take(7) && allowance.is_used_up());
        allowance.end();
        assert!(allowance.take(1 << 40) && !allowance.is_used_up());
    }
}
