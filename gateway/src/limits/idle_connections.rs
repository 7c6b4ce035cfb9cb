//! The number of idle connections to all upstreams together: each takes a descriptor, which is divided at start
//! ([`descriptors`](super::overload::descriptors)).

use std::sync::atomic::{AtomicUsize, Ordering};

/// The idle connections of this process: descriptors are the process's.
pub(crate) static IDLE_CONNECTIONS: IdleConnections = IdleConnections::new();

/// How many there are, and may be.
#[derive(Debug)]
pub(crate) struct IdleConnections {
    count: AtomicUsize,
    most: AtomicUsize,
}

/// One idle connection; dropping it makes room for another one.
#[derive(Debug)]
pub(crate) struct IdleSlot(&'static IdleConnections);

impl IdleConnections {
    const fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            most: AtomicUsize::new(usize::MAX),
        }
    }

    /// Sets how many there may be.
    pub(crate) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Room for one more, if there is any.
    pub(crate) fn try_add(&'static self) -> Option<IdleSlot> {
        // Made first: if there are too many, dropping it takes it back.
        let slot = IdleSlot(self);
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        (before < self.most.load(Ordering::Relaxed)).then_some(slot)
    }
}

impl Drop for IdleSlot {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_the_limit() {
        static IDLE: IdleConnections = IdleConnections::new();
        IDLE.limit(2);
        let mut held = vec![IDLE.try_add().unwrap(), IDLE.try_add().unwrap()];
        assert!(IDLE.try_add().is_none());
        held.pop();
        held.push(IDLE.try_add().unwrap());
        assert!(IDLE.try_add().is_none());
        drop(held);
        assert_eq!(IDLE.count.load(Ordering::Relaxed), 0);
    }
}
