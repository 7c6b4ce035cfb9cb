//! How often tokens with an unknown key id may cause a fetch: a few at once, then one in each cool-down.

use std::time::{Duration, Instant};

use mcp_gateway_core::rate::token_bucket::Rate;

use crate::config::Jwks;

/// Fetches that unknown key ids may cause at once. With a single one, an invented key id just before a rotation would delay
/// the new key by a whole cool-down.
const FETCHES_AT_ONCE: u32 = 4;

/// The longest cool-down of keys in a file: reading it burdens no issuer, so requests wait until it is read again.
const LONGEST_FILE_COOL_DOWN: Duration = Duration::from_millis(100);

/// The fetches that unknown key ids may still cause.
#[derive(Debug)]
pub(super) struct FetchBudget {
    rate: Rate,
    /// When all fetches may be made again, since `started`.
    full_at: Duration,
    started: Instant,
}

impl FetchBudget {
    /// For keys that are fetched from their issuer.
    pub(super) fn for_issuer(settings: Jwks) -> Self {
        Self::new(settings.cool_down)
    }

    /// For keys in a file.
    pub(super) fn for_file(settings: Jwks) -> Self {
        let longest = LONGEST_FILE_COOL_DOWN.min(settings.wait / 2);
        Self::new(settings.cool_down.min(longest))
    }

    /// A full budget, to which one fetch comes back in each `cool_down`.
    fn new(cool_down: Duration) -> Self {
        Self {
            rate: Rate::new(1, cool_down, FETCHES_AT_ONCE),
            full_at: Duration::ZERO,
            started: Instant::now(),
        }
    }

    /// How long until a fetch may be made; zero when it may at once.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.rate.wait(self.full_at, self.since_start(now))
    }

    /// Takes one fetch.
    ///
    /// # Errors
    /// None may be made yet: how long until one may.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let wait = self.wait(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.full_at = self.rate.after(self.full_at, self.since_start(now));
        Ok(())
    }

    fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(30);

    /// How many fetches may be made at this moment.
    fn at_once(budget: &mut FetchBudget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.take(now).is_ok() {
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_few_fetches_at_once_then_one_in_each_cool_down() {
        let mut budget = FetchBudget::new(COOL_DOWN);
        let start = Instant::now();
        assert_eq!(at_once(&mut budget, start), FETCHES_AT_ONCE);
        assert_eq!(at_once(&mut budget, start + COOL_DOWN / 2), 0);
        for cool_down in 1..10 {
            assert_eq!(at_once(&mut budget, start + COOL_DOWN * cool_down), 1);
        }
        let later = start + COOL_DOWN * 100;
        assert_eq!(at_once(&mut budget, later), FETCHES_AT_ONCE);
    }

    #[test]
    fn a_fetch_that_is_not_allowed_yet_says_how_long_to_wait() {
        let mut budget = FetchBudget::new(COOL_DOWN);
        let start = Instant::now();
        at_once(&mut budget, start);
        let wait = budget.take(start + COOL_DOWN / 3).unwrap_err();
        assert_eq!(wait, COOL_DOWN * 2 / 3);
        assert_eq!(budget.wait(start + COOL_DOWN), Duration::ZERO);
    }

    #[test]
    fn a_file_may_be_read_again_soon() {
        let wait = |cool_down, wait| {
            let mut budget = FetchBudget::for_file(Jwks {
                cool_down,
                wait,
                ..Jwks::default()
            });
            let now = budget.started;
            at_once(&mut budget, now);
            budget.wait(now)
        };
        let (short, long) = (Duration::from_millis(10), Duration::from_secs(2));
        assert_eq!(wait(COOL_DOWN, long), LONGEST_FILE_COOL_DOWN);
        assert_eq!(wait(short, long), short);
        // A request has to live to see it.
        assert_eq!(wait(COOL_DOWN, short), short / 2);
    }
}
