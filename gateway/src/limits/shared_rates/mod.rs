//! Rate limits that several processes count together in one store (`rate_limits.store`).
//!
//! Each process counts for itself first ([`rate_limiter`](super::rate_limiter)): so none of them ever permits more than the limit,
//! whatever the store does. Then a call is taken from what the store counted for this process in advance
//! ([`Lease`]); when nothing is left of it, the store is asked, by one at a time of those who wait for the same bucket, and at
//! most for `rate_limits.wait`. Where the store does not answer, the configuration says what holds (`rate_limits.without_store`).
//!
//! So `n` processes permit at most the limit and `n` batches in any span of time; without the store, and open, `n` times the limit.

pub(crate) mod counter;
mod leases;
#[cfg(feature = "redis")]
mod remote;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    rate::{lease::Lease, shared::SharedName, token_bucket::Rate},
    refusal::{Refusal, reason::Reason},
};
use tokio::{sync::OwnedMutexGuard, time::timeout};

use crate::{
    config::{SharedRateLimits, WithoutStore, authorization_server::SharedStore},
    remote_store::figures::LinkFigures,
};

use self::{
    counter::{Ask, Counted, Counter, CounterError},
    leases::Leases,
};

/// How many times `rate_limits.wait` a call waits for others that ask for the same bucket: each of them asks for a tenth of its limit
/// and more, so that many questions answer all calls of a burst.
const QUESTIONS_BEFORE: u32 = 20;

/// How long the store is not asked after it did not answer.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The least time between two lines that say that it does not count.
const REMINDER: Duration = Duration::from_secs(60);

/// How the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// How long a call waits for the store, and what holds without it.
    pub(crate) settings: SharedRateLimits,
    /// The most buckets of which this process keeps what is left.
    pub(crate) most_leases: usize,
}

/// Rate limits that several processes count together.
#[derive(Debug)]
pub(crate) struct SharedRates {
    counter: Arc<dyn Counter>,
    leases: Leases,
    started: Instant,
    /// Milliseconds since the start until which the store is not asked.
    paused_until: AtomicU64,
    failures: AtomicU64,
    /// Milliseconds since the start until which no line says that the store does not count.
    quiet_until: AtomicU64,
    /// The connection to the store.
    link: Arc<LinkFigures>,
}

/// What one call takes from one limit, and the limit's name.
pub(crate) type SharedShare = (SharedName, Rate);

impl SharedRates {
    /// Limits that a Redis or Valkey server counts. Nothing waits for the connection.
    ///
    /// # Errors
    /// The system cannot start a thread for the connection, or the program was built without the feature `redis`.
    pub(crate) fn connect(settings: &SharedStore) -> io::Result<Self> {
        let link = Arc::<LinkFigures>::default();
        let counter = counter(settings, link.clone())?;
        Ok(Self {
            link,
            ..Self::new(counter)
        })
    }

    /// Limits that this store counts.
    pub(crate) fn new(counter: Arc<dyn Counter>) -> Self {
        Self {
            counter,
            leases: Leases::default(),
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            quiet_until: AtomicU64::new(0),
            link: Arc::default(),
        }
    }

    /// Takes one call from every limit that counts it, or from none.
    ///
    /// # Errors
    /// [`Reason::RateLimited`] with the time after which a call is there again; [`Reason::RateLimitStoreUnavailable`] where the store
    /// does not answer and calls are refused then.
    pub(crate) async fn take(&self, shares: &[SharedShare], terms: &Terms) -> Result<(), Refusal> {
        if shares.is_empty() {
            return Ok(());
        }
        if self.is_paused() {
            return without_store(terms);
        }
        let most = terms.settings.wait.saturating_mul(QUESTIONS_BEFORE);
        // The store answered the calls before this one, so it has not failed.
        let taken = timeout(most, self.take_waiting(shares, terms)).await;
        taken.unwrap_or_else(|_| without_store(terms))
    }

    /// Whether a call would be refused by what this process knows of the limits already: a bucket is empty, as the store said within the
    /// last second, or the store does not answer. Nothing is counted, and the store is not asked.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(crate) fn look(&self, shares: &[SharedShare], terms: &Terms) -> Result<(), Refusal> {
        if shares.is_empty() {
            return Ok(());
        }
        if self.is_paused() {
            return without_store(terms);
        }
        let now = self.started.elapsed();
        let waits = shares.iter().map(|(name, _)| self.leases.wait(*name, now));
        match waits.max().filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(limited(wait)),
            None => Ok(()),
        }
    }

    /// Whether there is a connection to the store now.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_up()
    }

    /// How often the store did not count.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    async fn take_waiting(&self, shares: &[SharedShare], terms: &Terms) -> Result<(), Refusal> {
        let mut asks: Vec<_> = shares
            .iter()
            .map(|&(name, rate)| Ask {
                name,
                rate,
                wanted: 1,
            })
            .collect();
        // Everybody locks in the same order, so nobody waits for somebody who waits for him.
        asks.sort_unstable_by_key(|ask| ask.name);
        asks.dedup_by_key(|ask| ask.name);
        let mut leases = Vec::with_capacity(asks.len());
        for ask in &asks {
            let now = self.started.elapsed();
            let lease = self.leases.of(ask.name, terms.most_leases, now);
            leases.push(lease.lock_owned().await);
        }
        self.spend_or_ask(&asks, &mut leases, terms).await
    }

    async fn spend_or_ask(
        &self,
        asks: &[Ask],
        leases: &mut [OwnedMutexGuard<Lease>],
        terms: &Terms,
    ) -> Result<(), Refusal> {
        let now = self.started.elapsed();
        let waits = leases.iter().map(|lease| lease.wait(now));
        let wait = waits.max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(limited(wait));
        }
        let (mut lacking, asks): (Vec<_>, Vec<_>) = leases
            .iter_mut()
            .zip(asks)
            .filter(|(lease, _)| !lease.has_one(now))
            .map(|(lease, ask)| {
                let wanted = lease.wanted(ask.rate.burst(), now);
                (lease, Ask { wanted, ..*ask })
            })
            .unzip();
        if !asks.is_empty() {
            // It may have failed while others were before this call.
            let is_counted = !self.is_paused() && self.ask(&asks, &mut lacking, terms).await?;
            if !is_counted {
                return without_store(terms);
            }
        }
        let now = self.started.elapsed();
        for lease in leases {
            // It was there a moment ago, or the store has just counted it.
            lease.spend(now);
        }
        Ok(())
    }

    /// Asks the store for calls of these buckets, and notes what it says. False where it does not count.
    async fn ask(
        &self,
        asks: &[Ask],
        leases: &mut [&mut OwnedMutexGuard<Lease>],
        terms: &Terms,
    ) -> Result<bool, Refusal> {
        let counted = timeout(terms.settings.wait, self.counter.take(asks)).await;
        let counted = counted.unwrap_or_else(|_| {
            let late = "it did not answer within rate_limits.wait";
            Err(CounterError(late.to_owned()))
        });
        let now = self.started.elapsed();
        match counted {
            Ok(Counted::Taken(taken)) => {
                for ((lease, ask), granted) in leases.iter_mut().zip(asks).zip(taken) {
                    lease.grant(ask.wanted, granted, now);
                }
                Ok(true)
            }
            Ok(Counted::Empty(at, wait)) => {
                if let Some(lease) = leases.get_mut(at) {
                    lease.refuse(wait, now);
                }
                Err(limited(wait))
            }
            Err(error) => {
                self.note_failure(&error.0, terms);
                Ok(false)
            }
        }
    }

    fn is_paused(&self) -> bool {
        self.millis() < self.paused_until.load(Ordering::Relaxed)
    }

    /// Notes that the store does not count. It is not asked for a moment.
    fn note_failure(&self, why: &str, terms: &Terms) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let now = self.millis();
        let after = |time: Duration| {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            now.saturating_add(millis)
        };
        let paused_until = after(PAUSE_AFTER_FAILURE);
        self.paused_until.fetch_max(paused_until, Ordering::Relaxed);
        let quiet = self.quiet_until.load(Ordering::Relaxed);
        let (quiet_until, order) = (after(REMINDER), Ordering::Relaxed);
        // Of those who come at once, one writes the line.
        let claim = || {
            self.quiet_until
                .compare_exchange(quiet, quiet_until, order, order)
        };
        if quiet <= now && claim().is_ok() {
            let meanwhile = match terms.settings.without_store {
                WithoutStore::Open => "each gateway counts for itself",
                WithoutStore::Closed => "calls with a shared limit are refused (503)",
            };
            tracing::warn!(
                "the store of rate limits does not count, {meanwhile} (rate_limits.without_store): {why}"
            );
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(feature = "redis")]
fn counter(settings: &SharedStore, link: Arc<LinkFigures>) -> io::Result<Arc<dyn Counter>> {
    Ok(Arc::new(remote::RateCounter::open(settings, link)?))
}

#[cfg(not(feature = "redis"))]
fn counter(_: &SharedStore, _: Arc<LinkFigures>) -> io::Result<Arc<dyn Counter>> {
    let why = "this program was built without it (feature redis)";
    Err(io::Error::other(why))
}

fn without_store(terms: &Terms) -> Result<(), Refusal> {
    match terms.settings.without_store {
        WithoutStore::Open => Ok(()),
        WithoutStore::Closed => Err(Refusal {
            retry_after: Some(PAUSE_AFTER_FAILURE),
            ..Reason::RateLimitStoreUnavailable.into()
        }),
    }
}

fn limited(wait: Duration) -> Refusal {
    Refusal {
        retry_after: Some(wait),
        ..Reason::RateLimited.into()
    }
}

#[cfg(test)]
mod tests;
