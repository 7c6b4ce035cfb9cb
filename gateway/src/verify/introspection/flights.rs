//! Questions under way: one for each token, which everybody awaits who presents the token meanwhile. It goes on when the request that began it
//! ends.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::refusal::{Refusal, reason::Reason};
use tokio::sync::watch;

use crate::verify::{cache::TokenDigest, verdict::Verdict};

/// What came of a question.
pub(super) type Outcome = Result<Verdict, Refusal>;

/// A question under way, and then what came of it.
pub(super) type Flight = watch::Receiver<Option<Outcome>>;

/// All questions under way. There are never more than the endpoint's `calls`.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<TokenDigest, Flight>>);

impl Flights {
    /// The question about the token with this digest; the one that `begin` makes, if there is none.
    ///
    /// # Errors
    /// Those of `begin`.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        digest: &TokenDigest,
        begin: impl FnOnce() -> Result<F, Refusal>,
    ) -> Result<Flight, Refusal>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut under_way = self.lock();
        if let Some(flight) = under_way.get(digest) {
            return Ok(flight.clone());
        }
        let work = begin()?;
        let (sender, flight) = watch::channel(None);
        under_way.insert(*digest, flight.clone());
        let landing = Landing {
            flights: self.clone(),
            digest: *digest,
        };
        tokio::spawn(async move {
            let outcome = work.await;
            // A request from now on finds what was remembered.
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        Ok(flight)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenDigest, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for what comes of a question.
///
/// # Errors
/// The refusal that came of it.
pub(super) async fn outcome(mut flight: Flight) -> Outcome {
    let settled = flight.wait_for(Option::is_some).await;
    match settled.as_deref() {
        Ok(Some(outcome)) => outcome.clone(),
        // Its task was ended with the runtime.
        Ok(None) | Err(_) => Err(Reason::IntrospectionUnavailable.into()),
    }
}

/// Takes a question from those under way, however it ends.
struct Landing {
    flights: Arc<Flights>,
    digest: TokenDigest,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn no() -> Outcome {
        Err(Reason::TokenInactive.into())
    }

    #[tokio::test]
    async fn one_question_about_a_token_is_under_way_and_all_await_it() {
        let (flights, begun) = (Arc::<Flights>::default(), AtomicUsize::new(0));
        let (open, gate) = watch::channel(false);
        let join = |digest| {
            let mut gate = gate.clone();
            flights.join(&[digest; 32], || {
                begun.fetch_add(1, Ordering::Relaxed);
                Ok(async move {
                    drop(gate.wait_for(|open| *open).await);
                    no()
                })
            })
        };
        let (one, same, other) = (join(1).unwrap(), join(1).unwrap(), join(2).unwrap());
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        drop(one);
        open.send(true).unwrap();
        for flight in [same, other] {
            assert_eq!(
                outcome(flight).await.unwrap_err().reason,
                Reason::TokenInactive
            );
        }
        assert!(flights.lock().is_empty());
        join(1).unwrap();
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_question_that_cannot_begin_is_not_under_way() {
        let flights = Arc::<Flights>::default();
        let refuse = || Err::<std::future::Ready<Outcome>, _>(Reason::IntrospectionBusy.into());
        let refused = flights.join(&[1; 32], refuse);
        assert_eq!(refused.unwrap_err().reason, Reason::IntrospectionBusy);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn a_question_that_breaks_off_is_no_answer() {
        let flights = Arc::<Flights>::default();
        let (sender, flight) = watch::channel(None);
        flights.lock().insert([1; 32], flight.clone());
        drop(sender);
        let reason = outcome(flight).await.unwrap_err().reason;
        assert_eq!(reason, Reason::IntrospectionUnavailable);
    }
}
