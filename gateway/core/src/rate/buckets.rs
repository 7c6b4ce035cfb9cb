//! The buckets of all limits. A call takes from all buckets that count it, or from none.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use super::rate_limit::{Bucket, Share};
use crate::principal::Subject;
use crate::refusal::{Refusal, reason::Reason};

/// The share of all callers' buckets that one subject may cause, as a divisor. Clients that it registers itself have buckets of
/// their own, and must not take the place of other callers.
const SUBJECT_DIVISOR: usize = 100;

/// The fewest buckets that a subject may cause: for several limits and several clients.
const SUBJECT_LEAST: usize = 16;

/// The buckets of all limits; at first all of them are full.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// When each is full again, and who caused it.
    full_at: HashMap<Bucket, (Duration, Subject)>,
    /// Each of them once, with a time at which it was expected to be full; it may have been taken from since.
    pub(super) due: BinaryHeap<Reverse<(Duration, Bucket)>>,
    /// How many belong to callers.
    pub(super) callers: usize,
    /// How many of those each subject caused.
    pub(super) caused: HashMap<Subject, usize>,
    /// The latest time seen: requests arrive in another order than they read the clock, and here time never goes back.
    now: Duration,
}

impl Buckets {
    /// Takes what one call requires, all of it or nothing. `max_callers` is the maximum number of callers' buckets.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] with the time after which the same call succeeds if no other call takes from its buckets;
    /// [`Reason::RateLimitsExhausted`] where the limit of counted callers is reached; [`Reason::RateLimited`] without a time where the
    /// caller's subject has caused its share of buckets.
    pub fn take(
        &mut self,
        shares: Vec<Share>,
        max_callers: usize,
        now: Duration,
    ) -> Result<(), Refusal> {
        self.look(&shares, now)?;
        // Checks as many buckets as this call can add, so that full buckets do not accumulate.
        for _ in &shares {
            self.forget_one();
        }
        while let Some(reason) = self.shortage(&shares, max_callers) {
            if !self.forget_one() {
                return Err(reason.into());
            }
        }
        for share in shares {
            self.put(share);
        }
        Ok(())
    }

    /// Whether the buckets have what one call requires. Nothing is taken.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] as [`take`](Self::take) returns it.
    pub fn look(&mut self, shares: &[Share], now: Duration) -> Result<(), Refusal> {
        self.now = self.now.max(now);
        let waits = shares.iter().map(|share| self.wait(share));
        let wait = waits.max().unwrap_or_default();
        match wait.is_zero() {
            true => Ok(()),
            false => Err(Refusal {
                retry_after: Some(wait),
                ..Reason::RateLimited.into()
            }),
        }
    }

    /// How many buckets are stored.
    pub fn kept(&self) -> usize {
        self.full_at.len()
    }

    /// The limit that new buckets for these shares would exceed, if any.
    fn shortage(&self, shares: &[Share], max_callers: usize) -> Option<Reason> {
        let new = self.newcomers(shares);
        if new == 0 {
            return None;
        }
        let caused = shares
            .first()
            .and_then(|share| self.caused.get(&share.by))
            .copied();
        if caused.unwrap_or_default() + new > (max_callers / SUBJECT_DIVISOR).max(SUBJECT_LEAST) {
            return Some(Reason::RateLimited);
        }
        (self.callers + new > max_callers).then_some(Reason::RateLimitsExhausted)
    }

    fn wait(&self, share: &Share) -> Duration {
        let kept = self.full_at.get(&share.bucket);
        let full_at = kept.map_or(Duration::ZERO, |(full_at, _)| *full_at);
        share.rate.wait(full_at, self.now)
    }

    /// How many callers have no bucket yet.
    fn newcomers(&self, shares: &[Share]) -> usize {
        let callers = shares.iter().filter(|share| share.bucket.of.is_caller());
        callers
            .filter(|share| !self.full_at.contains_key(&share.bucket))
            .count()
    }

    fn put(&mut self, Share { bucket, rate, by }: Share) {
        if let Some((full_at, _)) = self.full_at.get_mut(&bucket) {
            *full_at = rate.after(*full_at, self.now);
            return;
        }
        let full_at = rate.after(Duration::ZERO, self.now);
        if bucket.of.is_caller() {
            self.callers += 1;
            *self.caused.entry(by.clone()).or_default() += 1;
        }
        self.due.push(Reverse((full_at, bucket.clone())));
        self.full_at.insert(bucket, (full_at, by));
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
            Some(&(full_at, _)) if full_at > now => self.due.push(Reverse((full_at, bucket))),
            _ => self.forget(&bucket),
        }
        true
    }

    fn forget(&mut self, bucket: &Bucket) {
        let Some((_, by)) = self.full_at.remove(bucket) else {
            return;
        };
        if !bucket.of.is_caller() {
            return;
        }
        self.callers -= 1;
        if let Some(caused) = self.caused.get_mut(&by) {
            *caused -= 1;
            if *caused == 0 {
                self.caused.remove(&by);
            }
        }
    }
}
