//! Fair use: how often principals, clients and tools may be called for, and a resource in all.
//!
//! Every count is a token bucket of its own and exact: no sketch, no sampling, and none that is still needed is forgotten.
//! A call that several limits count takes from all of their buckets or from none. A full bucket takes no place, so only
//! those who called a short while ago do; where all places are taken, newcomers wait.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    decision::Refusal,
    policy::{self, pattern::Pattern},
    principal::{Principal, Who},
    reason::Reason,
};
use crate::token_bucket::Rate;

/// One rate limit of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What has a bucket of its own.
    pub per: Per,
    /// How often, and how often at once.
    pub rate: Rate,
    /// The methods that it counts; none means every one that a policy judges.
    pub methods: Vec<String>,
    /// The names that it counts (tool, prompt, resource URI, task); none means any.
    pub names: Vec<Pattern>,
}

/// What has a bucket of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Each principal.
    Principal,
    /// Each client of each issuer, whoever its users are. Tokens without a client id count for their principal.
    Client,
    /// Each tool among the limit's names, which are exact: callers can make up names, and must not make up buckets.
    Tool,
    /// The resource.
    Resource,
}

/// Tells the buckets of one limit in use from those of every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId(u64);

impl LimitId {
    /// The id of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A rate limit in use.
#[derive(Clone, Debug)]
pub struct Limiter {
    /// Its buckets.
    pub id: LimitId,
    /// What it says.
    pub limit: RateLimit,
}

/// What one call takes by one limit.
#[derive(Clone, Debug)]
pub struct Share {
    bucket: Bucket,
    rate: Rate,
}

/// Which bucket of which limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Bucket {
    limit: LimitId,
    of: Counted,
}

/// Whose bucket it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Counted {
    Principal(Who),
    /// Issuer and client id.
    Client(Arc<str>, Arc<str>),
    /// The place among the limit's names.
    Tool(usize),
    Resource,
}

impl Limiter {
    /// What this call takes; `None` where the limit does not count it.
    pub fn share(&self, caller: &Principal, method: &str, name: Option<&str>) -> Option<Share> {
        let named = self.limit.counts(method, name)?;
        let of = match (self.limit.per, &caller.client) {
            (Per::Client, Some(client)) => Counted::Client(caller.issuer.clone(), client.clone()),
            (Per::Principal | Per::Client, _) => Counted::Principal(caller.who()),
            (Per::Tool, _) => Counted::Tool(named),
            (Per::Resource, _) => Counted::Resource,
        };
        Some(Share {
            bucket: Bucket { limit: self.id, of },
            rate: self.limit.rate,
        })
    }
}

impl RateLimit {
    /// Whether this call is counted, and by which of the names.
    fn counts(&self, method: &str, name: Option<&str>) -> Option<usize> {
        let is_counted = match self.methods.as_slice() {
            [] => !policy::is_always_open(method),
            methods => methods.iter().any(|own| own == method),
        };
        if !is_counted {
            return None;
        }
        match (self.names.as_slice(), name) {
            ([], _) => Some(0),
            (_, None) => None,
            (names, Some(name)) => names.iter().position(|own| own.matches(name)),
        }
    }
}

impl Counted {
    /// Whether there are as many of them as there are callers; of the others there are as many as are configured.
    const fn is_caller(&self) -> bool {
        matches!(self, Self::Principal(_) | Self::Client(..))
    }
}

/// The buckets of all limits; full ones for everybody at first.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// When each is full again.
    full_at: HashMap<Bucket, Duration>,
    /// Each of them once, with a moment at which it was to be full; it may have been taken from since.
    due: BinaryHeap<Reverse<(Duration, Bucket)>>,
    /// How many are a caller's.
    callers: usize,
    /// Requests come in another order than they looked at the clock; here it never goes back.
    now: Duration,
}

impl Buckets {
    /// Takes what one call takes, all of it or nothing. `most` is how many buckets of callers are kept.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] with the time after which the same call passes, if nobody else takes from its buckets;
    /// [`Reason::RateLimitsExhausted`] where a new caller finds no place.
    pub fn take(&mut self, shares: Vec<Share>, most: usize, now: Duration) -> Result<(), Refusal> {
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
        while self.callers + self.newcomers(&shares) > most {
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

#[cfg(test)]
mod tests;
