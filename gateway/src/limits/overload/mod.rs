//! What the machine lets this process have, descriptors and memory, and whether either is short. While one is, the process
//! says that it is not ready, and what is open goes on.

pub(crate) mod activity;
pub(crate) mod descriptors;
pub(crate) mod memory;
pub(crate) mod spares;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a connection that could not be accepted makes the process short of descriptors; the next such one renews it.
const EXHAUSTED_SPAN: Duration = Duration::from_secs(1);

/// What is short right now.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    is_short_of_memory: AtomicBool,
    descriptors_ran_out: Mutex<Option<Instant>>,
}

impl Overload {
    /// Whether so much memory is in use that no connection may be added.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.is_short_of_memory.load(Ordering::Relaxed)
    }

    /// Notes that a connection could not be accepted for want of a descriptor.
    pub(crate) fn note_descriptors_ran_out(&self) {
        *self
            .descriptors_ran_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// What is short, in the words of the readiness page.
    pub(crate) fn shortage(&self) -> Option<&'static str> {
        if self.is_short_of_memory() {
            return Some("memory");
        }
        let ran_out = *self
            .descriptors_ran_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ran_out
            .is_some_and(|at| at.elapsed() < EXHAUSTED_SPAN)
            .then_some("descriptors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_short_for_a_second_after_the_last_connection_that_found_none() {
        let overload = Overload::default();
        assert_eq!(overload.shortage(), None);
        overload.note_descriptors_ran_out();
        assert_eq!(overload.shortage(), Some("descriptors"));
        *overload.descriptors_ran_out.lock().unwrap() = Instant::now().checked_sub(EXHAUSTED_SPAN);
        assert_eq!(overload.shortage(), None);
        overload.note_descriptors_ran_out();
        assert_eq!(overload.shortage(), Some("descriptors"));
    }

    #[tokio::test]
    async fn memory_is_short_while_more_is_in_use_than_is_left() {
        for (limit, expected) in [
            (Some(1), Some("memory")),
            (None, None),
            (Some(usize::MAX), None),
        ] {
            let overload = Overload::default();
            overload
                .is_short_of_memory
                .store(expected.is_none(), Ordering::Relaxed);
            let activity = activity::Activity::new();
            let watching = memory::watch(&overload, &activity, || limit);
            let moment = Duration::from_millis(50);
            assert!(tokio::time::timeout(moment, watching).await.is_err());
            assert_eq!(overload.shortage(), expected, "{limit:?}");
            assert_eq!(overload.is_short_of_memory(), expected.is_some());
        }
    }

    #[test]
    fn memory_is_named_before_descriptors() {
        let overload = Overload::default();
        overload.note_descriptors_ran_out();
        overload.is_short_of_memory.store(true, Ordering::Relaxed);
        assert_eq!(overload.shortage(), Some("memory"));
    }
}
