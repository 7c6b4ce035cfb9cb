//! The arithmetic of a token bucket: how many within a time, and how many at once.
//!
//! A bucket is one instant: when it will be full again, as the time since the start on a clock that only goes
//! forward. A bucket that is full is not stored. Taking moves the instant ahead (the generic cell rate algorithm,
//! ITU-T I.371). The owner stores the buckets: [`crate::rate`], [`crate::rate::refusal_budget`].

use std::time::Duration;

/// A number within a time, and a number at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one comes back.
    interval: Duration,
    /// The time in which an empty bucket fills.
    span: Duration,
}

impl Rate {
    /// `count` within a time, `burst` at once; at least one of each. The time between two is rounded up to nanoseconds,
    /// so the rate is never exceeded.
    pub fn new(count: u32, within: Duration, burst: u32) -> Self {
        let count = u128::from(count.max(1));
        let nanos = within.as_nanos().div_ceil(count).max(1);
        let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Self {
            interval,
            span: interval.saturating_mul(burst.max(1)),
        }
    }

    /// The time in which one comes back.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The time in which an empty bucket fills.
    pub const fn span(&self) -> Duration {
        self.span
    }

    /// How many at once.
    pub fn burst(&self) -> u32 {
        let burst = self.span.as_nanos() / self.interval.as_nanos().max(1);
        u32::try_from(burst).unwrap_or(u32::MAX)
    }

    /// How long until one may be taken from a bucket that is full at `full_at`; zero when it may at once.
    pub fn wait(&self, full_at: Duration, now: Duration) -> Duration {
        self.next(full_at, now)
            .saturating_sub(now.saturating_add(self.span))
    }

    /// When a bucket is full once one was taken from it. An empty one goes into no debt.
    pub fn after(&self, full_at: Duration, now: Duration) -> Duration {
        self.next(full_at, now).min(now.saturating_add(self.span))
    }

    fn next(&self, full_at: Duration, now: Duration) -> Duration {
        full_at.max(now).saturating_add(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    /// How many may be taken at once from this bucket.
    fn at_once(rate: Rate, mut full_at: Duration, now: Duration) -> u32 {
        let mut taken = 0;
        while rate.wait(full_at, now).is_zero() {
            full_at = rate.after(full_at, now);
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_full_bucket_gives_its_burst() {
        for (count, within, burst) in [
            (1, 1, 1),
            (60, 60, 20),
            (7, 1, 7),
            (3, 86_400, 5),
            (1_000_000, 1, 1000),
        ] {
            let rate = Rate::new(count, Duration::from_secs(within), burst);
            let case = format!("{count} within {within} s, {burst} at once");
            assert_eq!(at_once(rate, Duration::ZERO, NOW), burst, "{case}");
            assert_eq!(at_once(rate, NOW, NOW), burst, "{case}");
            assert_eq!(rate.burst(), burst, "{case}");
        }
    }

    #[test]
    fn a_bucket_refills_one_by_one() {
        let rate = Rate::new(30, Duration::from_secs(60), 3);
        let empty = (0..3).fold(Duration::ZERO, |full_at, _| rate.after(full_at, NOW));
        for (millis, expected) in [
            (0, 0),
            (1999, 0),
            (2000, 1),
            (3999, 1),
            (4000, 2),
            (6000, 3),
            (60_000, 3),
        ] {
            let later = NOW + Duration::from_millis(millis);
            assert_eq!(at_once(rate, empty, later), expected, "{millis} ms later");
        }
    }

    #[test]
    fn the_wait_is_the_shortest_that_helps() {
        for count in [1, 7, 60, 999_983] {
            let rate = Rate::new(count, Duration::from_secs(60), 2);
            let empty = (0..2).fold(Duration::ZERO, |full_at, _| rate.after(full_at, NOW));
            let wait = rate.wait(empty, NOW);
            let just_before = NOW + wait - Duration::from_nanos(1);
            assert_eq!(rate.wait(empty, NOW + wait), Duration::ZERO, "{count}");
            assert_ne!(rate.wait(empty, just_before), Duration::ZERO, "{count}");
        }
    }

    #[test]
    fn taking_from_an_empty_bucket_makes_no_debt() {
        let rate = Rate::new(10, Duration::from_secs(60), 10);
        let empty = (0..1000).fold(Duration::ZERO, |full_at, _| rate.after(full_at, NOW));
        assert_eq!(rate.wait(empty, NOW), Duration::from_secs(6));
    }
}
