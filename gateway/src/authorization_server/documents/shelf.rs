//! Documents of one kind, as they were read: kept by URL, fetched once however many ask for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_core::http::outbound::foreign_url::ForeignUrl;
use tokio::sync::OnceCell;

use super::{
    cache::{Cache, CacheShares, Kept},
    fault::DocumentFault,
    freshness::Lifetime,
};

/// What was read of a document.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) value: T,
    /// Bytes of the document.
    pub(super) bytes: usize,
    pub(super) lifetime: Lifetime,
}

/// A value, or why there is none.
pub(super) type Outcome<T> = Result<Kept<T>, DocumentFault>;

/// The documents of one kind.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    /// How long a URL that could not be fetched is not asked again.
    rest: Duration,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    kept: Cache<T>,
    failed: Cache<DocumentFault>,
    /// Fetches that are being made. There are at most as many as requests that wait for them.
    flights: HashMap<String, Arc<OnceCell<Outcome<T>>>>,
}

/// A fetch that somebody waits for. The last one to leave removes it.
struct Passenger<'a, T> {
    shelf: &'a Shelf<T>,
    url: &'a ForeignUrl,
    flight: Arc<OnceCell<Outcome<T>>>,
}

impl<T> Shelf<T> {
    /// An empty one.
    pub(super) fn new(shares: CacheShares, rest: Duration) -> Self {
        Self {
            rest,
            state: Mutex::new(State {
                kept: Cache::new(shares),
                failed: Cache::new(shares),
                flights: HashMap::new(),
            }),
        }
    }

    /// The value for this URL: the kept one while it is fresh and, where `youngest` is given, was fetched after that instant; otherwise
    /// what `fetch` returns. While the server is silent, what is kept serves until its end.
    ///
    /// One fetch is made at a time for a URL. If the request that made it goes away, the next one that waits makes its own.
    ///
    /// # Errors
    /// Why it could not be fetched.
    pub(super) async fn get<F>(
        &self,
        url: &ForeignUrl,
        youngest: Option<Instant>,
        fetch: F,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<Read<T>, DocumentFault>>,
    {
        if let Some(known) = self.known(url, youngest) {
            return known;
        }
        let passenger = self.board(url);
        let landed = passenger.flight.get_or_init(|| async {
            match self.known(url, youngest) {
                Some(known) => known,
                None => self.land(url, fetch.await),
            }
        });
        landed.await.clone()
    }

    /// What can be said without a fetch.
    fn known(&self, url: &ForeignUrl, youngest: Option<Instant>) -> Option<Outcome<T>> {
        let now = Instant::now();
        let mut state = self.lock();
        let kept = state.kept.find(url, now);
        let is_new = |kept: &Kept<T>| youngest.is_none_or(|youngest| kept.fetched > youngest);
        match kept {
            Some(kept) if now < kept.fresh_until && is_new(&kept) => Some(Ok(kept)),
            kept => {
                let failed = state.failed.find(url, now)?;
                Some(kept.ok_or_else(|| (*failed.value).clone()))
            }
        }
    }

    fn land(&self, url: &ForeignUrl, read: Result<Read<T>, DocumentFault>) -> Outcome<T> {
        let now = Instant::now();
        let mut state = self.lock();
        match read {
            Ok(read) => {
                let kept = Kept::new(read.value, read.lifetime, now);
                state.failed.forget(url);
                state.kept.insert(url, kept.clone(), read.bytes);
                Ok(kept)
            }
            Err(fault) if fault.is_silence() => {
                if let DocumentFault::Fetch(_) = fault {
                    let lifetime = Lifetime {
                        fresh: self.rest,
                        stale: Duration::ZERO,
                    };
                    let failed = Kept::new(fault.clone(), lifetime, now);
                    state.failed.insert(url, failed, 0);
                }
                state.kept.find(url, now).ok_or(fault)
            }
            Err(fault) => {
                state.kept.forget(url);
                Err(fault)
            }
        }
    }

    fn board<'a>(&'a self, url: &'a ForeignUrl) -> Passenger<'a, T> {
        let mut state = self.lock();
        let flight = state.flights.entry(url.as_str().to_owned()).or_default();
        Passenger {
            shelf: self,
            url,
            flight: flight.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Passenger<'_, T> {
    fn drop(&mut self) {
        let mut state = self.shelf.lock();
        let same = state.flights.get(self.url.as_str());
        let is_same = same.is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        // Later requests find the outcome in what is kept. Without an outcome, the last passenger removes the flight.
        if is_same && (self.flight.initialized() || Arc::strong_count(&self.flight) <= 2) {
            state.flights.remove(self.url.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{authorization_server::documents::budget::Spent, fetch::foreign::ForeignError};

    const SECOND: Duration = Duration::from_secs(1);

    fn url() -> ForeignUrl {
        ForeignUrl::parse("https://a.example/client.json").unwrap()
    }

    fn shelf(rest: Duration) -> Shelf<usize> {
        Shelf::new(CacheShares::default(), rest)
    }

    fn read(value: usize, fresh: Duration, stale: Duration) -> Result<Read<usize>, DocumentFault> {
        Ok(Read {
            value,
            bytes: 100,
            lifetime: Lifetime { fresh, stale },
        })
    }

    fn silence() -> DocumentFault {
        ForeignError::Status(500).into()
    }

    async fn get(
        shelf: &Shelf<usize>,
        read: Result<Read<usize>, DocumentFault>,
    ) -> Result<usize, DocumentFault> {
        let outcome = shelf.get(&url(), None, async { read }).await;
        outcome.map(|kept| *kept.value)
    }

    #[tokio::test]
    async fn what_is_fresh_is_not_fetched_again() {
        let shelf = shelf(SECOND);
        assert_eq!(get(&shelf, read(1, SECOND, SECOND)).await, Ok(1));
        assert_eq!(get(&shelf, read(2, SECOND, SECOND)).await, Ok(1));
        let (url, now) = (url(), Instant::now());
        let newer = shelf.get(&url, Some(now), async { read(3, SECOND, SECOND) });
        assert_eq!(*newer.await.unwrap().value, 3);
        assert!(shelf.lock().flights.is_empty());
    }

    #[tokio::test]
    async fn what_is_stale_serves_while_the_server_is_silent_and_no_longer() {
        let shelf = shelf(Duration::ZERO);
        let stale = read(1, Duration::ZERO, SECOND * 60);
        assert_eq!(get(&shelf, stale).await, Ok(1));
        assert_eq!(get(&shelf, Err(silence())).await, Ok(1));
        assert_eq!(get(&shelf, Err(Spent::Site.into())).await, Ok(1));
        let wrong = DocumentFault::NoKeys;
        assert_eq!(get(&shelf, Err(wrong.clone())).await, Err(wrong));
        assert_eq!(get(&shelf, Err(silence())).await, Err(silence()));
        assert_eq!(
            get(&shelf, read(2, Duration::ZERO, Duration::ZERO)).await,
            Ok(2)
        );
        assert_eq!(get(&shelf, Err(silence())).await, Err(silence()));
    }

    #[tokio::test]
    async fn a_failure_rests_a_wrong_document_does_not() {
        let shelf = shelf(SECOND * 60);
        let wrong = DocumentFault::NoKeys;
        assert_eq!(get(&shelf, Err(wrong.clone())).await, Err(wrong));
        assert_eq!(
            get(&shelf, Err(Spent::Total.into())).await,
            Err(Spent::Total.into())
        );
        assert_eq!(get(&shelf, Err(silence())).await, Err(silence()));
        assert_eq!(get(&shelf, read(1, SECOND, SECOND)).await, Err(silence()));
    }

    #[tokio::test]
    async fn many_requests_make_one_fetch_and_one_that_goes_away_does_not_end_it() {
        let shelf = Arc::new(shelf(SECOND));
        let fetches = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (shelf, fetches) = (shelf.clone(), fetches.clone());
            tokio::spawn(async move {
                let fetch = async {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    read(7, SECOND, SECOND)
                };
                shelf.get(&url(), None, fetch).await.map(|kept| *kept.value)
            })
        };
        let first = ask();
        tokio::time::sleep(Duration::from_millis(10)).await;
        let others: Vec<_> = (0..50).map(|_| ask()).collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        first.abort();
        for other in others {
            assert_eq!(other.await.unwrap(), Ok(7));
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 2);
        let alone = ask();
        assert_eq!(alone.await.unwrap(), Ok(7));
        assert!(shelf.lock().flights.is_empty());
    }
}
