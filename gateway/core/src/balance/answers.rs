//! Who got the last answers of an endpoint: whether it answers at all, and whether it answers others than one caller.

use std::time::Duration;

use super::waiting::Caller;

/// The last answer, and the last one to another caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    last: Option<Answer>,
    /// When the last answer to a caller other than that of `last` came.
    other: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    caller: Caller,
    at: Duration,
}

impl Answers {
    /// An answer to this caller came.
    pub fn add(&mut self, caller: Caller, now: Duration) {
        if let Some(last) = self.last
            && last.caller != caller
        {
            self.other = Some(last.at);
        }
        self.last = Some(Answer { caller, at: now });
    }

    /// Whether one came at this instant or later.
    pub fn came_since(&self, instant: Duration) -> bool {
        self.last.is_some_and(|last| last.at >= instant)
    }

    /// When the last one to a caller other than this one came.
    pub fn last_to_others(&self, caller: Caller) -> Option<Duration> {
        match self.last {
            Some(last) if last.caller != caller => Some(last.at),
            _ => self.other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answer_to_another_caller_is_known_for_every_caller() {
        let mut answers = Answers::default();
        let mut all: Vec<(usize, Duration)> = Vec::new();
        for (number, caller) in [0, 0, 1, 1, 0, 2, 1, 2, 2, 0, 0, 1].into_iter().enumerate() {
            let at = Duration::from_secs(number as u64);
            answers.add(Caller(caller), at);
            all.push((caller, at));
            for asked in 0..4 {
                let mut others = all.iter().rev().filter(|(caller, _)| *caller != asked);
                let expected = others.next().map(|(_, at)| *at);
                let found = answers.last_to_others(Caller(asked));
                assert_eq!(found, expected, "{asked} after {all:?}");
            }
            assert!(answers.came_since(at));
            assert!(!answers.came_since(at + Duration::from_nanos(1)));
        }
    }

    #[test]
    fn without_an_answer_nothing_came() {
        let answers = Answers::default();
        assert!(!answers.came_since(Duration::ZERO));
        assert_eq!(answers.last_to_others(Caller(1)), None);
    }
}
