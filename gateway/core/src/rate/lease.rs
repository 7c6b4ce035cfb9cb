//! Calls that a shared store has counted already, and that this process may permit: a batch, taken from the store at once and spent
//! here one by one.
//!
//! The first batch is one call. A batch that is used up in its time is followed by one twice as large, up to a tenth of the limit's
//! burst; one that was not, by one call. So a caller who calls now and then costs the store one question for each call and loses
//! nothing, and a busy one costs it a question for many.
//!
//! In any span of time, all processes together permit no more than the limit and one batch for each of them: what was taken just
//! before the span and is spent in it.

use std::time::Duration;

/// How long a batch may be spent. What is left then is lost: the store counted it, and nobody makes these calls.
pub const LEASE: Duration = Duration::from_secs(1);

/// The part of a limit's burst that one batch may be.
pub const BATCH_DIVISOR: u32 = 10;

/// The most calls of one batch.
pub const MAX_BATCH: u32 = 1000;

/// The largest batch of a limit with this burst.
pub fn largest_batch(burst: u32) -> u32 {
    (burst / BATCH_DIVISOR).clamp(1, MAX_BATCH)
}

/// What is left of the last batch of one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    left: u32,
    /// How many calls the store was last asked for.
    asked: u32,
    /// When what is left is lost, on a clock that only goes forward.
    until: Duration,
    /// The bucket is empty until then, the store said.
    empty_until: Duration,
}

impl Lease {
    /// Whether a call is left.
    pub fn has_one(&self, now: Duration) -> bool {
        self.left > 0 && now < self.until
    }

    /// Spends a call, if one is left.
    pub fn spend(&mut self, now: Duration) -> bool {
        let has_one = self.has_one(now);
        if has_one {
            self.left -= 1;
        }
        has_one
    }

    /// How many calls to ask the store for, once none is left; `burst` is that of the limit.
    pub fn wanted(&self, burst: u32, now: Duration) -> u32 {
        let was_used_up = self.left == 0 && now < self.until;
        match was_used_up {
            true => self.asked.saturating_mul(2).clamp(1, largest_batch(burst)),
            false => 1,
        }
    }

    /// The store counted `granted` calls of `asked`.
    pub fn grant(&mut self, asked: u32, granted: u32, now: Duration) {
        *self = Self {
            left: granted,
            asked,
            until: now.saturating_add(LEASE),
            empty_until: Duration::ZERO,
        };
    }

    /// The store said that the bucket has no call before `wait` is over. It is asked again after [`LEASE`] at the latest.
    pub fn refuse(&mut self, wait: Duration, now: Duration) {
        *self = Self {
            empty_until: now.saturating_add(wait.min(LEASE)),
            ..Self::default()
        };
    }

    /// How long the bucket is still empty; zero where the store may be asked.
    pub fn wait(&self, now: Duration) -> Duration {
        self.empty_until.saturating_sub(now)
    }

    /// Whether it says nothing any more: a new one is as good.
    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.until && now >= self.empty_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    const fn after(millis: u64) -> Duration {
        Duration::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_batch_is_spent_within_its_time_and_no_further() {
        let mut lease = Lease::default();
        assert!(!lease.spend(NOW));
        lease.grant(3, 2, NOW);
        assert!(lease.spend(after(0)) && lease.spend(after(999)));
        assert!(!lease.spend(after(999)));
        lease.grant(3, 3, NOW);
        assert!(lease.spend(after(1)));
        assert!(!lease.has_one(after(1000)) && !lease.spend(after(1000)));
        assert!(lease.is_over(after(1000)) && !lease.is_over(after(999)));
    }

    #[test]
    fn an_empty_bucket_is_asked_again_when_it_has_a_call_or_after_a_second() {
        let mut lease = Lease::default();
        assert!(lease.wait(NOW).is_zero());
        lease.refuse(Duration::from_millis(300), NOW);
        assert_eq!(lease.wait(after(100)), Duration::from_millis(200));
        assert!(lease.wait(after(300)).is_zero() && lease.is_over(after(300)));
        lease.refuse(Duration::from_secs(60), NOW);
        assert!(!lease.is_over(after(999)) && lease.wait(after(1000)).is_zero());
        lease.grant(1, 1, after(1000));
        assert!(lease.spend(after(1000)));
    }

    #[test]
    fn batches_grow_while_they_are_used_up_in_time() {
        let mut lease = Lease::default();
        let sizes: Vec<_> = (0..6)
            .map(|_| {
                let wanted = lease.wanted(100, NOW);
                lease.grant(wanted, wanted, NOW);
                while lease.spend(NOW) {}
                wanted
            })
            .collect();
        assert_eq!(sizes, [1, 2, 4, 8, 10, 10]);
        assert_eq!(lease.wanted(100, after(1000)), 1);
        lease.grant(10, 10, NOW);
        assert_eq!(lease.wanted(100, after(1000)), 1, "some were lost");
    }

    #[test]
    fn the_largest_batch_is_a_tenth_of_the_burst_and_at_least_one() {
        for (burst, expected) in [
            (0, 1),
            (1, 1),
            (19, 1),
            (20, 2),
            (9_999, 999),
            (1_000_000, 1000),
        ] {
            assert_eq!(largest_batch(burst), expected, "{burst}");
        }
    }
}
