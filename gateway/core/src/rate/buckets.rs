//! The buckets of all limits. A call takes from all buckets that count it, or from none.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use super::rate_limit::{Bucket, Share};
use crate::refusal::{Refusal, reason::Reason};

/// The buckets of all limits; at first all of them are full.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// When each is full again.
    full_at: HashMap<Bucket, Duration>,
    /// Each of them once, with a time at which it was expected to be full; it may have been taken from since.
    pub(super) due: BinaryHeap<Reverse<(Duration, Bucket)>>,
    /// How many belong to callers.
    pub(super) callers: usize,
    /// The latest time seen: requests arrive in another order than they read the clock, and here time never goes back.
    now: Duration,
}

impl Buckets {
    /// Takes what one call requires, all of it or nothing. `max_callers` is the maximum number of callers' buckets.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] with the time after which the same call succeeds if no other call takes from its buckets;
    /// [`Reason::RateLimitsExhausted`] where there is no room for a new caller.
    pub fn take(
        &mut self,
        shares: Vec<Share>,
        max_callers: usize,
        now: Duration,
    ) -> Result<(), Refusal> {
        self.now = self.now.max(now);
        let waits = shares.iter().map(|share| self.wait(share));
        let wait = waits.max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(Refusal {
                retry_after: Some(wait),
                ..Reason::RateLimited.into()
            });
        }
        // Checks as many buckets as this call can add, so that full buckets do not accumulate.
        for _ in &shares {
            self.forget_one();
        }
        while self.callers + self.newcomers(&shares) > max_callers {
            if !self.forget_one() {
                return Err(Reason::RateLimitsExhausted.into());
            }
        }
        for share in shares {
            self.put(share);
        }
        Ok(())
    }

    /// How many buckets are stored.
    pub fn kept(&self) -> usize {
        self.full_at.len()
    }

    fn wait(&self, share: &Share) -> Duration {
        let full_at = self.full_at.get(&share.bucket).copied();
        share.rate.wait(full_at.unwrap_or_default(), self.now)
    }

    /// How many callers have no bucket yet.
    fn newcomers(&self, shares: &[Share]) -> usize {
        let callers = shares.iter().filter(|share| share.bucket.of.is_caller());
        callers
            .filter(|share| !self.full_at.contains_key(&share.bucket))
            .count()
    }

    fn put(&mut self, Share { bucket, rate }: Share) {
        if let Some(full_at) = self.full_at.get_mut(&bucket) {
            *full_at = rate.after(*full_at, self.now);
            return;
        }
        let full_at = rate.after(Duration::ZERO, self.now);
        self.callers += usize::from(bucket.of.is_caller());
        self.due.push(Reverse((full_at, bucket.clone())));
        self.full_at.insert(bucket, full_at);
    }

    /// Removes the bucket that was expected to be full first, if it is full. False where none is expected to be full yet.
    fn forget_one(&mut self) -> bool {
        let now = self.now;
        let is_due = |next: &Reverse<(Duration, Bucket)>| next.0.0 <= now;
        if !self.due.peek().is_some_and(is_due) {
            return false;
        }
        let Some(Reverse((_, bucket))) = self.due.pop() else {
            return false;
        };
        match self.full_at.get(&bucket) {
            Some(&full_at) if full_at > now => self.due.push(Reverse((full_at, bucket))),
            _ => {
                self.callers -= usize::from(bucket.of.is_caller());
                self.full_at.remove(&bucket);
            }
        }
        true
    }
}
