//! Rate limits: the token buckets of every limit of the process.
//!
//! They survive a reload: a limit that is used up stays used up, unless the limit itself was changed. One lock is held for
//! one lookup and one change, a fraction of a microsecond, and only by calls that a limit counts.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use mcp_gateway_core::{
    principal::Principal,
    rate::{Buckets, LimitId, Limiter, RateLimit, Share},
    refusal::Refusal,
};

/// The buckets of every limit.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    buckets: Mutex<Buckets>,
    started: Instant,
}

/// The limiter in `previous` for the same limit, with its buckets: a reload does not refill them. Else a new one.
pub(crate) fn reuse_or_new(previous: &[Limiter], limit: &RateLimit) -> Limiter {
    let same = previous.iter().find(|previous| previous.limit == *limit);
    same.map_or_else(|| with_own_buckets(limit.clone()), Limiter::clone)
}

/// A limit with buckets that no other has.
fn with_own_buckets(limit: RateLimit) -> Limiter {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Limiter {
        id: LimitId::new(NEXT.fetch_add(1, Ordering::Relaxed)),
        limit,
    }
}

impl RateLimiter {
    /// A rate limiter with full buckets.
    pub(crate) fn new() -> Self {
        Self {
            buckets: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Takes one call of this principal from every limit that counts it. `max_callers` is the highest number of callers that
    /// are counted.
    ///
    /// # Errors
    /// See [`Buckets::take`].
    pub(crate) fn take(
        &self,
        limiters: &[Limiter],
        caller: &Principal,
        (method, name): (&str, Option<&str>),
        max_callers: usize,
    ) -> Result<(), Refusal> {
        let shares = shares(limiters, caller, (method, name));
        if shares.is_empty() {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(shares, max_callers, self.started.elapsed())
    }

    /// Whether the limits would let such a call through. Nothing is counted.
    ///
    /// # Errors
    /// See [`Buckets::look`].
    pub(crate) fn look(
        &self,
        limiters: &[Limiter],
        caller: &Principal,
        call: (&str, Option<&str>),
    ) -> Result<(), Refusal> {
        let shares = shares(limiters, caller, call);
        if shares.is_empty() {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.look(&shares, self.started.elapsed())
    }
}

/// What one call takes from the limits that count it.
fn shares(
    limiters: &[Limiter],
    caller: &Principal,
    (method, name): (&str, Option<&str>),
) -> Vec<Share> {
    let shares = limiters.iter();
    let shares = shares.filter_map(|limiter| limiter.share(caller, method, name));
    shares.collect()
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use mcp_gateway_core::{
        rate::{Per, token_bucket::Rate},
        refusal::reason::Reason,
        scope::ScopeSet,
    };

    use super::*;

    const CALL: (&str, Option<&str>) = ("tools/call", Some("x"));

    fn limit(per: Per, calls: u32, within: Duration, burst: u32) -> Limiter {
        with_own_buckets(RateLimit {
            per,
            rate: Rate::new(calls, within, burst),
            methods: Vec::new(),
            names: Vec::new().into(),
        })
    }

    fn principal(subject: &str) -> Principal {
        Principal {
            issuer: "issuer".into(),
            subject: subject.into(),
            client: None,
            scopes: ScopeSet::default(),
        }
    }

    #[test]
    fn a_look_counts_nothing_and_sees_an_empty_bucket() {
        let limiters = [limit(Per::Principal, 1, Duration::from_secs(3600), 1)];
        let (rate_limiter, caller) = (RateLimiter::new(), principal("ana"));
        for _ in 0..3 {
            assert!(rate_limiter.look(&limiters, &caller, CALL).is_ok());
        }
        rate_limiter.take(&limiters, &caller, CALL, 100).unwrap();
        let refused = rate_limiter.look(&limiters, &caller, CALL).unwrap_err();
        assert_eq!(refused.reason, Reason::RateLimited);
        assert!(refused.retry_after.is_some());
        assert!(
            rate_limiter
                .look(&limiters, &principal("bob"), CALL)
                .is_ok()
        );
    }

    #[test]
    fn callers_at_the_same_time_get_no_more_than_the_limit() {
        let within = Duration::from_secs(3600);
        let limiters = [
            limit(Per::Principal, 500, within, 500),
            limit(Per::Resource, 1200, within, 1200),
        ];
        let rate_limiter = RateLimiter::new();
        let granted: Vec<usize> = thread::scope(|scope| {
            let threads = (0..8).map(|thread| {
                let caller = principal(&(thread % 4).to_string());
                let (rate_limiter, limiters) = (&rate_limiter, &limiters);
                scope.spawn(move || {
                    let calls = (0..1000).map(|_| rate_limiter.take(limiters, &caller, CALL, 100));
                    calls.filter(Result::is_ok).count()
                })
            });
            let threads: Vec<_> = threads.collect();
            let counts = threads.into_iter().map(|thread| thread.join().unwrap());
            counts.collect()
        });
        // Each of four principals has two threads. At most one call per three seconds is refilled during the test.
        let back = rate_limiter.started.elapsed().as_secs() / 3 + 1;
        let all = granted.iter().sum::<usize>();
        let most = 1200 + usize::try_from(back).unwrap();
        assert!((1200..=most).contains(&all), "{all} of {most}");
        for own in 0..4 {
            let own = granted.iter().skip(own).step_by(4).sum::<usize>();
            assert!(own <= 500 + usize::try_from(back).unwrap(), "{own}");
        }
    }

    #[test]
    fn the_limit_of_callers_is_exact_when_callers_come_at_once() {
        let limiters = [limit(Per::Principal, 1, Duration::from_secs(3600), 1)];
        let rate_limiter = RateLimiter::new();
        thread::scope(|scope| {
            for thread in 0..8 {
                let (rate_limiter, limiters) = (&rate_limiter, &limiters);
                scope.spawn(move || {
                    for number in 0..50 {
                        let caller = principal(&format!("{thread} {number}"));
                        let _ = rate_limiter.take(limiters, &caller, CALL, 100);
                    }
                });
            }
        });
        assert_eq!(rate_limiter.buckets.lock().unwrap().kept(), 100);
        let outcome = rate_limiter.take(&limiters, &principal("late"), CALL, 100);
        assert_eq!(outcome, Err(Reason::RateLimitsExhausted.into()));
    }

    #[test]
    fn two_equal_limits_have_separate_buckets() {
        let [one, other] = [(); 2].map(|()| limit(Per::Resource, 1, Duration::from_secs(3600), 1));
        let rate_limiter = RateLimiter::new();
        let take = |limiter| rate_limiter.take(&[limiter], &principal("a"), CALL, 100);
        assert!(take(one.clone()).is_ok() && take(one).is_err());
        assert!(take(other).is_ok());
    }

    #[test]
    fn a_limit_that_did_not_change_is_reused() {
        let hour = Duration::from_secs(3600);
        let previous = [
            limit(Per::Principal, 1, hour, 1),
            limit(Per::Resource, 1, hour, 1),
        ];
        let reused = |limit: &RateLimit| {
            let new = reuse_or_new(&previous, limit);
            previous.iter().position(|previous| previous.id == new.id)
        };
        assert_eq!(reused(&previous[0].limit), Some(0));
        assert_eq!(reused(&previous[1].limit), Some(1));
        for other in [
            limit(Per::Client, 1, hour, 1),
            limit(Per::Resource, 2, hour, 1),
            limit(Per::Resource, 1, hour, 2),
        ] {
            assert_eq!(reused(&other.limit), None, "{other:?}");
        }
        let ping = RateLimit {
            methods: vec!["ping".to_owned()],
            ..previous[1].limit.clone()
        };
        assert_eq!(reused(&ping), None);
    }
}
