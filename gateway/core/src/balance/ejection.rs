//! Passive ejection: an endpoint whose calls fail one after the other is left out for a while, longer each time.
//!
//! A call that began before an ejection says nothing new: neither does its failure count again, nor does its answer end the ejection.

use std::{collections::VecDeque, time::Duration};

/// When an endpoint is left out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The failures in a row after which it is.
    pub failures: u32,
    /// The time within which they happen.
    pub within: Duration,
    /// The first ejection; each one that follows without an answer between them takes twice as long.
    pub first: Duration,
    /// The longest ejection.
    pub longest: Duration,
}

/// The most failures in a row that [`Settings::failures`] may ask for: their instants are kept.
pub const MAX_FAILURES: u32 = 100;

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 5,
            within: Duration::from_secs(10),
            first: Duration::from_secs(10),
            longest: Duration::from_secs(5 * 60),
        }
    }
}

/// The failures of one endpoint.
#[derive(Clone, Debug, Default)]
pub struct Ejection {
    /// The calls that failed last, the oldest first; empty after an answer.
    failures: VecDeque<Failure>,
    /// The last ejection since the last answer.
    last: Option<Ejected>,
    /// Ejections since the last answer.
    times: u32,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Duration,
    is_unconnected: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ejected {
    at: Duration,
    until: Duration,
    is_unreachable: bool,
}

impl Ejection {
    /// Until when the endpoint is left out, if it is.
    pub fn until(&self, now: Duration) -> Option<Duration> {
        let until = self.last?.until;
        (now < until).then_some(until)
    }

    /// When the last ejection ends, or has ended, if no call was answered since.
    pub fn last_end(&self) -> Option<Duration> {
        self.last.map(|last| last.until)
    }

    /// Whether the endpoint is left out because no connection to it could be opened: what it held for its sessions is out of reach.
    pub fn is_unreachable(&self, now: Duration) -> bool {
        self.until(now).is_some() && self.last.is_some_and(|last| last.is_unreachable)
    }

    /// A call that began at `began` failed: without a connection, or otherwise. `may_eject`: the endpoint is not the last one. Returns
    /// until when it is left out, if that begins now.
    pub fn failed(
        &mut self,
        settings: &Settings,
        (began, now): (Duration, Duration),
        is_unconnected: bool,
        may_eject: bool,
    ) -> Option<Duration> {
        if self.began_before(began) || self.until(now).is_some() {
            return None;
        }
        let most = settings.failures.clamp(1, MAX_FAILURES) as usize;
        let at = now;
        self.failures.push_back(Failure { at, is_unconnected });
        while self.failures.len() > most {
            self.failures.pop_front();
        }
        let oldest = self.failures.front()?.at;
        let is_over = self.failures.len() == most && now.saturating_sub(oldest) <= settings.within;
        if !is_over || !may_eject {
            return None;
        }
        let is_unreachable = self.failures.iter().all(|failure| failure.is_unconnected);
        let length = settings.first.saturating_mul(1 << self.times.min(30));
        let until = now + length.min(settings.longest);
        self.failures.clear();
        self.last = Some(Ejected {
            at,
            until,
            is_unreachable,
        });
        self.times = self.times.saturating_add(1);
        Some(until)
    }

    /// A call that began at `began` was answered. Returns whether that ended an ejection.
    pub fn answered(&mut self, began: Duration, now: Duration) -> bool {
        if self.began_before(began) {
            return false;
        }
        let was_out = self.until(now).is_some();
        self.failures.clear();
        (self.last, self.times) = (None, 0);
        was_out
    }

    /// Whether a call began before the last ejection.
    fn began_before(&self, began: Duration) -> bool {
        self.last.is_some_and(|last| began <= last.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: Duration = Duration::from_secs(1000);

    fn fail(ejection: &mut Ejection, now: Duration) -> Option<Duration> {
        ejection.failed(&Settings::default(), (now, now), true, true)
    }

    /// An endpoint that was ejected at `now`.
    fn ejected(ejection: &mut Ejection, now: Duration) -> Duration {
        for _ in 0..4 {
            assert_eq!(fail(ejection, now), None);
        }
        fail(ejection, now).expect("ejected") - now
    }

    #[test]
    fn five_failures_in_a_row_within_ten_seconds_eject() {
        for (between, expected) in [(0, true), (2500, true), (2501, false), (60_000, false)] {
            let mut ejection = Ejection::default();
            let instants = (0..5).map(|number| NOW + number * Duration::from_millis(between));
            let ends: Vec<_> = instants.map(|now| fail(&mut ejection, now)).collect();
            assert!(ends[..4].iter().all(Option::is_none));
            assert_eq!(ends[4].is_some(), expected, "{between} ms between two");
        }
    }

    #[test]
    fn the_last_five_count_however_many_came_before() {
        let mut ejection = Ejection::default();
        for number in 0..20 {
            assert_eq!(fail(&mut ejection, NOW + number * 3 * SECOND), None);
        }
        let now = NOW + 60 * SECOND;
        assert!((0..5).any(|_| fail(&mut ejection, now).is_some()));
    }

    #[test]
    fn an_answer_between_two_failures_resets() {
        let mut ejection = Ejection::default();
        for _ in 0..9 {
            for _ in 0..4 {
                assert_eq!(fail(&mut ejection, NOW), None);
            }
            assert!(!ejection.answered(NOW, NOW));
        }
    }

    #[test]
    fn an_ejection_takes_ten_seconds_doubling_to_five_minutes() {
        let mut ejection = Ejection::default();
        let mut now = NOW;
        for expected in [10, 20, 40, 80, 160, 300, 300] {
            assert_eq!(ejected(&mut ejection, now), expected * SECOND);
            let end = now + expected * SECOND;
            assert_eq!(ejection.until(end - Duration::from_nanos(1)), Some(end));
            assert_eq!(ejection.until(end), None);
            now = end + SECOND;
        }
        assert!(!ejection.answered(now, now), "it was back already");
        assert_eq!(ejected(&mut ejection, now), 10 * SECOND);
    }

    #[test]
    fn what_began_before_an_ejection_does_not_end_it_nor_prolong_the_next() {
        let mut ejection = Ejection::default();
        ejected(&mut ejection, NOW);
        let back = NOW + 11 * SECOND;
        for began in [NOW - SECOND, NOW] {
            assert!(!ejection.answered(began, NOW + SECOND));
            assert!(ejection.until(NOW + SECOND).is_some());
            for _ in 0..9 {
                let settings = Settings::default();
                assert_eq!(ejection.failed(&settings, (began, back), true, true), None);
            }
        }
        assert_eq!(ejected(&mut ejection, back), 20 * SECOND);
    }

    #[test]
    fn a_call_of_a_session_that_is_answered_ends_an_ejection() {
        let mut ejection = Ejection::default();
        ejected(&mut ejection, NOW);
        let later = NOW + 2 * SECOND;
        assert_eq!(fail(&mut ejection, later), None, "it is out already");
        assert!(ejection.answered(NOW + SECOND, later));
        assert_eq!(ejection.until(later), None);
    }

    #[test]
    fn the_last_one_is_not_ejected_before_it_is_no_longer_the_last() {
        let (mut ejection, settings) = (Ejection::default(), Settings::default());
        for _ in 0..50 {
            assert_eq!(ejection.failed(&settings, (NOW, NOW), true, false), None);
        }
        assert!(fail(&mut ejection, NOW).is_some());
    }

    #[test]
    fn an_endpoint_is_unreachable_where_no_failure_had_a_connection() {
        for (answers, expected) in [(0, true), (1, false), (5, false)] {
            let (mut ejection, settings) = (Ejection::default(), Settings::default());
            for number in 0..5 {
                ejection.failed(&settings, (NOW, NOW), number >= answers, true);
            }
            assert!(ejection.until(NOW).is_some());
            assert_eq!(ejection.is_unreachable(NOW), expected, "{answers}");
            assert!(!ejection.is_unreachable(NOW + 10 * SECOND));
        }
    }
}
