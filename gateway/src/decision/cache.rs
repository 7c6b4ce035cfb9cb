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

#[derive(Clone, Copy, Debug)]
struct Answer {
    yes: bool,
    came: Instant,
}

impl Answers {
    pub(super) fn new(most: usize, lifetime: Duration) -> Self {
        Self {
            cache: Cache::new(most),
            lifetime,
        }
    }

    /// The answer to this question, if it still holds.
    pub(super) fn get(&self, key: &QuestionKey) -> Option<bool> {
        if self.lifetime.is_zero() {
            return None;
        }
        let answer = self.cache.get(key)?;
        let holds = answer.came.elapsed() < self.lifetime;
        holds.then_some(answer.yes)
    }

    /// Stores the answer to a question that was sent at this time: it holds from then on, because the rules may have changed since.
    pub(super) fn insert(&self, key: QuestionKey, yes: bool, sent: Instant) {
        if !self.lifetime.is_zero() {
            self.cache.insert(key, Answer { yes, came: sent });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: QuestionKey = [1; 32];

    #[test]
    fn an_answer_holds_for_its_lifetime_from_the_question_on() {
        let answers = Answers::new(10, Duration::from_secs(60));
        assert_eq!(answers.get(&KEY), None);
        answers.insert(KEY, false, Instant::now());
        assert_eq!(answers.get(&KEY), Some(false));
        answers.insert(KEY, true, Instant::now());
        assert_eq!(answers.get(&KEY), Some(true));
        assert_eq!(answers.get(&[2; 32]), None);
        let before = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        answers.insert(KEY, true, before);
        assert_eq!(answers.get(&KEY), None);
    }

    #[test]
    fn without_a_lifetime_nothing_is_stored() {
        let answers = Answers::new(10, Duration::ZERO);
        answers.insert(KEY, true, Instant::now());
        assert_eq!(answers.get(&KEY), None);
        assert_eq!(answers.cache.len(), 0);
    }

    #[test]
    fn the_number_of_answers_is_bounded() {
        let answers = Answers::new(100, Duration::from_secs(60));
        for number in 0..10_000_u32 {
            let mut key = KEY;
            key[..4].copy_from_slice(&number.to_le_bytes());
            answers.insert(key, true, Instant::now());
        }
        assert!(answers.cache.len() <= 100);
    }
}
