//! Log lines that would come by the thousand, one at a time, each telling of how many.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lets one line through in each span of time.
#[derive(Debug)]
pub(crate) struct Pace {
    span: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Option<Instant>,
    /// Since the last line, this one included.
    count: u64,
}

impl Pace {
    /// One line in each `span`.
    pub(crate) const fn every(span: Duration) -> Self {
        Self {
            span,
            state: Mutex::new(State {
                last: None,
                count: 0,
            }),
        }
    }

    /// Whether it is time for the next line.
    pub(crate) fn is_due(&self) -> bool {
        self.tally().is_some()
    }

    /// When it is time for the next line: how often it was asked for since the last one.
    pub(crate) fn tally(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += 1;
        if state.last.is_some_and(|last| last.elapsed() < self.span) {
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
    fn one_line_passes_in_each_span() {
        let pace = Pace::every(Duration::from_secs(3600));
        assert_eq!(
            [pace.is_due(), pace.is_due(), pace.is_due()],
            [true, false, false]
        );
        assert!(Pace::every(Duration::ZERO).is_due());
    }

    #[test]
    fn a_line_tells_how_many_were_held_back() {
        let pace = Pace::every(Duration::from_millis(200));
        assert_eq!(
            [pace.tally(), pace.tally(), pace.tally()],
            [Some(1), None, None]
        );
        std::thread::sleep(Duration::from_millis(250));
        assert_eq!(pace.tally(), Some(3));
    }
}
