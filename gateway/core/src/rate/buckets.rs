//! The buckets of all limits: taken from by every limit that counts a call, or by none.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use super::rate_limit::{Bucket, Share};
use crate::refusal::{Refusal, reason::Reason};

/// The buckets of all limits; full ones for everybody at first.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// When each is full again.
    full_at: HashMap<Bucket, Duration>,
    /// Each of them once, with a moment at which it was to be full; it may have been taken from since.
    pub(super) due: BinaryHeap<Reverse<(Duration, Bucket)>>,
    /// How many are a caller's.
    pub(super) callers: usize,
    /// Requests come in another order than they looked at the clock; here it never goes back.
    now: Duration,
}

impl Buckets {
    /// Takes what one call takes, all of it or nothing. `max_callers` is how many buckets of callers are kept.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] with the time after which the same call passes, if nobody else takes from its buckets;
    /// [`Reason::RateLimitsExhausted`] where a new caller finds no place.
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
        // As many looks as buckets that may come to be: so what is full does not pile up.
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

    /// How many buckets are kept.
    pub fn kept(&self) -> usize {
        self.full_at.len()
    }

    fn wait(&self, share: &Share) -> Duration {
        let full_at = self.full_at.get(&share.bucket).copied();
        share.rate.wait(full_at.unwrap_or_default(), self.now)
    }

    /// How many callers have no place yet.
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

    /// Looks at the bucket that was to be full first, and forgets it if it is. False where none is to be full yet.
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
