//! Log lines that would come by the thousand, one at a time.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lets one line through in each span of time.
#[derive(Debug)]
pub(crate) struct Pace {
    span: Duration,
    last: Mutex<Option<Instant>>,
}

impl Pace {
    /// One line in each `span`.
    pub(crate) const fn every(span: Duration) -> Self {
        Self {
            span,
            last: Mutex::new(None),
        }
    }

    /// Whether it is time for the next line.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= self.span);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
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
}
