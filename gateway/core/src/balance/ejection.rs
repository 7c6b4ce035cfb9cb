//! Passive ejection: an endpoint whose calls fail one after the other is left out for a while, longer each time.
//!
//! A call that began before an ejection says nothing new: neither does its failure count again, nor does its answer end the ejection.
//! A call that waited in vain counts only where the endpoint answered no other call meanwhile: one slow call is not a dead endpoint.
//! Failures of one caller alone count only where others got no answer lately: a caller can have calls whose answers are failures.

use std::{collections::VecDeque, time::Duration};

use super::{answers::Answers, outcome::Outcome, waiting::Caller};

/// When an endpoint is left out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The failures in a row after which it is.
    pub failures: u32,
    /// The time within which they happen, without the time that their calls waited; and how long an answer to others counts against
    /// the failures of one caller.
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

impl Settings {
    /// How many failures are kept and counted.
    const fn counted(&self) -> usize {
        match self.failures {
            0 => 1,
            failures if failures > MAX_FAILURES => MAX_FAILURES as usize,
            failures => failures as usize,
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
    /// When the last failure was.
    failed_at: Duration,
    answers: Answers,
}

/// A call that failed.
#[derive(Clone, Copy, Debug)]
pub struct FailedCall {
    /// Who made it.
    pub caller: Caller,
    /// How it failed.
    pub outcome: Outcome,
    /// When it began.
    pub began: Duration,
    /// When it failed.
    pub now: Duration,
}

/// Which ejections of an endpoint leave enough others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MayEject {
    /// One because no connection can be opened. No caller can cause that.
    pub unreachable: bool,
    /// One for anything else.
    pub answering: bool,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    caller: Caller,
    /// The time between the failure before it and the begin of its call.
    idle: Duration,
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

    /// A call failed. Returns until when the endpoint is left out, if that begins now.
    pub fn failed(
        &mut self,
        settings: &Settings,
        call: FailedCall,
        may: MayEject,
    ) -> Option<Duration> {
        let now = call.now;
        if self.began_before(call.began) || self.until(now).is_some() || self.is_only_slow(call) {
            return None;
        }
        self.add(settings, call);
        let is_unreachable = self.failures.iter().all(|failure| failure.is_unconnected);
        let is_allowed = match is_unreachable {
            true => may.unreachable,
            false => may.answering && !self.is_of_one_caller(settings, now),
        };
        if !is_allowed || !self.is_over(settings) {
            return None;
        }
        let length = settings.first.saturating_mul(1 << self.times.min(30));
        let until = now + length.min(settings.longest);
        self.failures.clear();
        self.last = Some(Ejected {
            at: now,
            until,
            is_unreachable,
        });
        self.times = self.times.saturating_add(1);
        Some(until)
    }

    /// Whether another call was answered while this one waited.
    fn is_only_slow(&self, call: FailedCall) -> bool {
        call.outcome == Outcome::Late && self.answers.came_since(call.began)
    }

    fn add(&mut self, settings: &Settings, call: FailedCall) {
        self.failures.push_back(Failure {
            caller: call.caller,
            idle: call.began.saturating_sub(self.failed_at),
            is_unconnected: call.outcome == Outcome::Unconnected,
        });
        self.failed_at = call.now;
        while self.failures.len() > settings.counted() {
            self.failures.pop_front();
        }
    }

    /// Whether there were so many failures in so short a time. A call that waits for long is not what makes it long.
    fn is_over(&self, settings: &Settings) -> bool {
        let between = self.failures.iter().skip(1).map(|failure| failure.idle);
        let length = between.fold(Duration::ZERO, Duration::saturating_add);
        self.failures.len() == settings.counted() && length <= settings.within
    }

    /// Whether all failures are those of one caller, while others were answered lately.
    fn is_of_one_caller(&self, settings: &Settings, now: Duration) -> bool {
        let Some(first) = self.failures.front() else {
            return false;
        };
        let mut failures = self.failures.iter();
        let of_others = self.answers.last_to_others(first.caller);
        of_others.is_some_and(|at| now.saturating_sub(at) <= settings.within)
            && failures.all(|failure| failure.caller == first.caller)
    }

    /// A call of this caller that began at `began` was answered. Returns whether that ended an ejection.
    pub fn answered(&mut self, caller: Caller, began: Duration, now: Duration) -> bool {
        self.answers.add(caller, now);
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

    const ALICE: Caller = Caller(1);
    const BOB: Caller = Caller(2);

    const BOTH: MayEject = MayEject {
        unreachable: true,
        answering: true,
    };

    const NEITHER: MayEject = MayEject {
        unreachable: false,
        answering: false,
    };

    /// A call of Alice with this outcome, which took no time.
    fn at(now: Duration, outcome: Outcome) -> FailedCall {
        FailedCall {
            caller: ALICE,
            outcome,
            began: now,
            now,
        }
    }

    fn failed(ejection: &mut Ejection, call: FailedCall) -> Option<Duration> {
        ejection.failed(&Settings::default(), call, BOTH)
    }

    fn fail(ejection: &mut Ejection, now: Duration) -> Option<Duration> {
        failed(ejection, at(now, Outcome::Unconnected))
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
            assert!(!ejection.answered(ALICE, NOW, NOW));
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
        assert!(!ejection.answered(ALICE, now, now), "it was back already");
        assert_eq!(ejected(&mut ejection, now), 10 * SECOND);
    }

    #[test]
    fn what_began_before_an_ejection_does_not_end_it_nor_prolong_the_next() {
        let mut ejection = Ejection::default();
        ejected(&mut ejection, NOW);
        let back = NOW + 11 * SECOND;
        for began in [NOW - SECOND, NOW] {
            assert!(!ejection.answered(ALICE, began, NOW + SECOND));
            assert!(ejection.until(NOW + SECOND).is_some());
            for _ in 0..9 {
                let now = back;
                let call = at(now, Outcome::Broken);
                assert_eq!(failed(&mut ejection, FailedCall { began, ..call }), None);
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
        assert!(ejection.answered(ALICE, NOW + SECOND, later));
        assert_eq!(ejection.until(later), None);
    }

    #[test]
    fn the_last_one_is_not_ejected_before_it_is_no_longer_the_last() {
        let (mut ejection, settings) = (Ejection::default(), Settings::default());
        for _ in 0..50 {
            let call = at(NOW, Outcome::Unconnected);
            assert_eq!(ejection.failed(&settings, call, NEITHER), None);
        }
        assert!(fail(&mut ejection, NOW).is_some());
    }

    #[test]
    fn an_endpoint_is_unreachable_where_no_failure_had_a_connection() {
        for (answers, expected) in [(0, true), (1, false), (5, false)] {
            let mut ejection = Ejection::default();
            for number in 0..5 {
                let outcome = match number >= answers {
                    true => Outcome::Unconnected,
                    false => Outcome::Broken,
                };
                failed(&mut ejection, at(NOW, outcome));
            }
            assert!(ejection.until(NOW).is_some());
            assert_eq!(ejection.is_unreachable(NOW), expected, "{answers}");
            assert!(!ejection.is_unreachable(NOW + 10 * SECOND));
        }
    }

    /// A call that began at `began` and waited ten seconds in vain.
    fn late(began: Duration) -> FailedCall {
        FailedCall {
            began,
            ..at(began + 10 * SECOND, Outcome::Late)
        }
    }

    #[test]
    fn an_endpoint_that_answers_nothing_is_ejected_however_long_its_calls_wait() {
        // One after the other, each after another pause, and all at once.
        for (pause, expected) in [(0, true), (2500, true), (2501, false)] {
            let mut ejection = Ejection::default();
            let mut began = NOW;
            let mut until = None;
            for _ in 0..5 {
                assert_eq!(until, None);
                until = failed(&mut ejection, late(began));
                began += 10 * SECOND + Duration::from_millis(pause);
            }
            assert_eq!(until.is_some(), expected, "{pause} ms");
        }
        let mut ejection = Ejection::default();
        let ends: Vec<_> = (0..5).map(|_| failed(&mut ejection, late(NOW))).collect();
        assert!(ends[..4].iter().all(Option::is_none) && ends[4].is_some());
        assert!(!ejection.is_unreachable(NOW + 10 * SECOND));
    }

    #[test]
    fn slow_calls_do_not_count_where_another_call_was_answered_meanwhile() {
        let nanosecond = Duration::from_nanos(1);
        for (answered, expected) in [
            (NOW - nanosecond, true),
            (NOW, false),
            (NOW + 10 * SECOND, false),
        ] {
            let mut ejection = Ejection::default();
            ejection.answered(ALICE, NOW - SECOND, answered);
            // All of them began at once.
            let ends = (0..20).map(|_| failed(&mut ejection, late(NOW)));
            let is_ejected = ends.fold(false, |is_ejected, end| is_ejected | end.is_some());
            assert_eq!(is_ejected, expected, "{answered:?}");
        }
    }

    #[test]
    fn one_caller_alone_ejects_no_endpoint_that_answers_others() {
        let broken = |caller, now| FailedCall {
            caller,
            ..at(
                now,
                Outcome::Answered(http::StatusCode::SERVICE_UNAVAILABLE),
            )
        };
        for (answered_to, another_fails, expected) in [
            (None, false, true),
            (Some(ALICE), false, true),
            (Some(BOB), false, false),
            (Some(BOB), true, true),
        ] {
            let mut ejection = Ejection::default();
            if let Some(caller) = answered_to {
                ejection.answered(caller, NOW, NOW);
            }
            let callers = [
                ALICE,
                ALICE,
                ALICE,
                ALICE,
                if another_fails { BOB } else { ALICE },
            ];
            let calls = callers.map(|caller| broken(caller, NOW + SECOND));
            let ends = calls.map(|call| failed(&mut ejection, call));
            assert_eq!(
                ends[4].is_some(),
                expected,
                "{answered_to:?} {another_fails}"
            );
        }
    }

    #[test]
    fn what_others_got_counts_as_long_as_failures_do() {
        for (seconds, expected) in [(10, false), (11, true)] {
            let mut ejection = Ejection::default();
            ejection.answered(BOB, NOW, NOW);
            let now = NOW + seconds * SECOND;
            let until = (0..5).map(|_| failed(&mut ejection, at(now, Outcome::Broken)));
            assert_eq!(until.last().unwrap().is_some(), expected, "{seconds} s");
        }
    }

    #[test]
    fn an_endpoint_without_a_connection_is_ejected_by_any_caller() {
        let mut ejection = Ejection::default();
        ejection.answered(BOB, NOW, NOW);
        assert_eq!(ejected(&mut ejection, NOW + SECOND), 10 * SECOND);
    }

    #[test]
    fn what_may_be_ejected_depends_on_whether_it_can_be_reached() {
        for (outcome, unreachable, answering, expected) in [
            (Outcome::Unconnected, true, false, true),
            (Outcome::Unconnected, false, true, false),
            (Outcome::Broken, true, false, false),
            (Outcome::Broken, false, true, true),
        ] {
            let (mut ejection, settings) = (Ejection::default(), Settings::default());
            let may = MayEject {
                unreachable,
                answering,
            };
            let until = (0..5).map(|_| ejection.failed(&settings, at(NOW, outcome), may));
            assert_eq!(
                until.last().unwrap().is_some(),
                expected,
                "{outcome:?} {may:?}"
            );
        }
    }
}
