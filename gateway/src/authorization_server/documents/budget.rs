//! How often and how many documents are fetched at the same time, for one site and in total: so that nobody uses the gateway to
//! flood a server, and nobody who keeps it waiting keeps others from their documents.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_core::rate::token_bucket::Rate;
use thiserror::Error;

/// How often something may be done, and how many at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Fetches in a minute.
    pub(crate) per_minute: u32,
    /// Fetches that may come at once after a pause.
    pub(crate) burst: u32,
    /// Fetches at the same time.
    pub(crate) in_flight: usize,
}

/// The shares of fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FetchShares {
    /// Of one site: a domain and all names below it.
    pub(crate) site: Share,
    /// Of all sites together.
    pub(crate) total: Share,
}

impl Default for FetchShares {
    fn default() -> Self {
        Self {
            site: Share {
                per_minute: 60,
                burst: 20,
                in_flight: 8,
            },
            total: Share {
                per_minute: 600,
                burst: 100,
                in_flight: 64,
            },
        }
    }
}

/// Which share is used up.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum Spent {
    /// That of the site.
    #[error("as many documents of this site were fetched as may be")]
    Site,
    /// That of all sites.
    #[error("as many documents were fetched as may be")]
    Total,
}

/// The fetches that may still be made.
#[derive(Debug)]
pub(super) struct Budget {
    shares: FetchShares,
    site: Rate,
    total: Rate,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: Use,
    /// Sites without a fetch that counts are not kept. The rate of all sites bounds how many there are.
    sites: HashMap<String, Use>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// When all fetches may be made again, since the start.
    full_at: Duration,
    in_flight: usize,
}

/// A fetch that is being made; dropping it says that it is over.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    budget: &'a Budget,
    site: String,
}

impl Budget {
    /// A full budget.
    pub(super) fn new(shares: FetchShares) -> Self {
        let rate = |share: Share| Rate::new(share.per_minute, Duration::from_secs(60), share.burst);
        Self {
            shares,
            site: rate(shares.site),
            total: rate(shares.total),
            started: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// Takes a fetch from this site at `now`.
    ///
    /// # Errors
    /// [`Spent`].
    pub(super) fn take(&self, site: &str, now: Instant) -> Result<Slot<'_>, Spent> {
        let now = now.saturating_duration_since(self.started);
        let mut state = self.lock();
        state.sites.retain(|_, used| !used.is_idle(now));
        let mut used = state.sites.get(site).copied().unwrap_or_default();
        used.take(self.site, self.shares.site, now)
            .ok_or(Spent::Site)?;
        let total = state.total.take(self.total, self.shares.total, now);
        total.ok_or(Spent::Total)?;
        state.sites.insert(site.to_owned(), used);
        Ok(Slot {
            budget: self,
            site: site.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    fn take(&mut self, rate: Rate, share: Share, now: Duration) -> Option<()> {
        if self.in_flight >= share.in_flight || !rate.wait(self.full_at, now).is_zero() {
            return None;
        }
        self.full_at = rate.after(self.full_at, now);
        self.in_flight += 1;
        Some(())
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.in_flight == 0 && self.full_at <= now
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.total.in_flight = state.total.in_flight.saturating_sub(1);
        if let Some(used) = state.sites.get_mut(&self.site) {
            used.in_flight = used.in_flight.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(per_minute: u32, burst: u32, in_flight: usize) -> Share {
        Share {
            per_minute,
            burst,
            in_flight,
        }
    }

    fn budget(site: Share, total: Share) -> Budget {
        Budget::new(FetchShares { site, total })
    }

    /// How many fetches of this site, one after the other, are made at this moment.
    fn at_once(budget: &Budget, site: &str, now: Instant) -> usize {
        std::iter::from_fn(|| budget.take(site, now).ok()).count()
    }

    #[test]
    fn a_site_that_uses_its_share_up_leaves_the_others_theirs() {
        let budget = budget(share(60, 3, 9), share(600, 10, 9));
        let start = budget.started;
        assert_eq!(at_once(&budget, "a.example", start), 3);
        assert_eq!(budget.take("a.example", start).unwrap_err(), Spent::Site);
        assert_eq!(at_once(&budget, "b.example", start), 3);
        let second = start + Duration::from_secs(1);
        assert_eq!(at_once(&budget, "a.example", second), 1);
        assert_eq!(at_once(&budget, "b.example", second), 1);
    }

    #[test]
    fn many_sites_together_get_no_more_than_the_total() {
        let budget = budget(share(60, 3, 9), share(60, 10, 9));
        let start = budget.started;
        let taken: usize = (0..100)
            .map(|site| at_once(&budget, &format!("{site}.example"), start))
            .sum();
        assert_eq!(taken, 10);
        assert_eq!(budget.take("new.example", start).unwrap_err(), Spent::Total);
        // What was refused took nothing of the site's own.
        let later = start + Duration::from_secs(3600);
        assert_eq!(at_once(&budget, "new.example", later), 3);
        assert!(budget.lock().sites.len() <= 4);
    }

    #[test]
    fn servers_that_keep_the_gateway_waiting_hold_their_own_share_only() {
        let budget = budget(share(6000, 100, 2), share(6000, 100, 3));
        let now = budget.started;
        let slow = [(); 2].map(|()| budget.take("slow.example", now).unwrap());
        assert_eq!(budget.take("slow.example", now).unwrap_err(), Spent::Site);
        let other = budget.take("other.example", now).unwrap();
        assert_eq!(budget.take("third.example", now).unwrap_err(), Spent::Total);
        drop((slow, other));
        assert!(budget.take("slow.example", now).is_ok());
    }
}
