//! A limit on frequent log lines: one line per interval, with the number of events since the last one.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Allows one line per interval.
#[derive(Debug)]
pub(crate) struct LogInterval {
    interval: Duration,
    state: Mutex<IntervalState>,
}

#[derive(Debug)]
struct IntervalState {
    last: Option<Instant>,
    /// Events since the last line.
    count: u64,
}

impl LogInterval {
    /// One line per `interval`.
    pub(crate) const fn every(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::new(IntervalState {
                last: None,
                count: 0,
            }),
        }
    }

    /// Counts an event. Whether the next line is due.
    pub(crate) fn is_due(&self) -> bool {
        self.count_due().is_some()
    }

    /// Counts an event. When the next line is due, the number of events since the last one, this one included.
    pub(crate) fn count_due(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        if state
            .last
            .is_some_and(|last| last.elapsed() < self.interval)
        {
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_due_in_each_interval() {
        let interval = LogInterval::every(Duration::from_secs(3600));
        assert_eq!(
            [interval.is_due(), interval.is_due(), interval.is_due()],
            [true, false, false]
        );
        assert!(LogInterval::every(Duration::ZERO).is_due());
    }

    #[test]
    fn a_line_has_the_number_of_suppressed_events() {
        let interval = LogInterval::every(Duration::from_millis(200));
        assert_eq!(
            [
                interval.count_due(),
                interval.count_due(),
                interval.count_due()
            ],
            [Some(1), None, None]
        );
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!(interval.count_due(), Some(3));
    }
}
