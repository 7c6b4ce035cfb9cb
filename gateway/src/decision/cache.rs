//! The answers of one decision point: bounded in number (`decision_points.*.cached_answers`) and in time (`decision_points.*.cache`).
//! The key of an answer is its question, which names the principal.

use std::time::{Duration, Instant};

use mcp_gateway_core::policy::decision_point::question::QuestionKey;
use quick_cache::sync::Cache;

/// Cached answers.
#[derive(Debug)]
pub(super) struct Answers {
    cache: Cache<QuestionKey, Answer>,
    /// How long one holds.
    lifetime: Duration,
}

/// The answer to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) yes: bool,
    /// When it was asked for: the rules may have changed since.
    pub(crate) sent: Instant,
}

impl Answers {
    pub(super) fn new(most: usize, lifetime: Duration) -> Self {
        Self {
            cache: Cache::new(most),
            lifetime,
        }
    }

    /// The answer to this question, if it still holds, and is younger than this.
    pub(super) fn get(&self, key: &QuestionKey, within: Duration) -> Option<Answer> {
        if self.lifetime.is_zero() {
            return None;
        }
        let answer = self.cache.get(key)?;
        let holds = answer.sent.elapsed() < self.lifetime.min(within);
        holds.then_some(answer)
    }

    /// Stores the answer to a question: it holds from when that was sent on.
    pub(super) fn insert(&self, key: QuestionKey, answer: Answer) {
        if !self.lifetime.is_zero() {
            self.cache.insert(key, answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: QuestionKey = [1; 32];

    fn answer(yes: bool, age: Duration) -> Answer {
        let sent = Instant::now().checked_sub(age).unwrap();
        Answer { yes, sent }
    }

    #[test]
    fn an_answer_holds_for_its_lifetime_from_the_question_on() {
        let answers = Answers::new(10, Duration::from_secs(60));
        let get = |key, within| Some(answers.get(key, within)?.yes);
        assert_eq!(get(&KEY, Duration::MAX), None);
        answers.insert(KEY, answer(false, Duration::ZERO));
        assert_eq!(get(&KEY, Duration::MAX), Some(false));
        answers.insert(KEY, answer(true, Duration::from_secs(30)));
        assert_eq!(get(&KEY, Duration::MAX), Some(true));
        assert_eq!(get(&KEY, Duration::from_secs(40)), Some(true));
        assert_eq!(get(&KEY, Duration::from_secs(30)), None);
        assert_eq!(get(&[2; 32], Duration::MAX), None);
        answers.insert(KEY, answer(true, Duration::from_secs(60)));
        assert_eq!(get(&KEY, Duration::MAX), None);
    }

    #[test]
    fn without_a_lifetime_nothing_is_stored() {
        let answers = Answers::new(10, Duration::ZERO);
        answers.insert(KEY, answer(true, Duration::ZERO));
        assert_eq!(answers.get(&KEY, Duration::MAX), None);
        assert_eq!(answers.cache.len(), 0);
    }

    #[test]
    fn the_number_of_answers_is_bounded() {
        let answers = Answers::new(100, Duration::from_secs(60));
        for number in 0..10_000_u32 {
            let mut key = KEY;
            key[..4].copy_from_slice(&number.to_le_bytes());
            answers.insert(key, answer(true, Duration::ZERO));
        }
        assert!(answers.cache.len() <= 100);
    }
}
