//! Questions in flight: callers with the same question meanwhile wait for the answer to the first one. A question is known by a digest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// The digest of a question.
pub(crate) type FlightKey = [u8; 32];

/// The outcomes that are awaited, by question.
#[derive(Debug)]
pub(crate) struct Flights<T>(Mutex<HashMap<FlightKey, watch::Receiver<Option<T>>>>);

/// A question's place among those in flight.
pub(crate) enum Flight<T> {
    /// Somebody has asked it already: this is where the outcome comes.
    Joined(watch::Receiver<Option<T>>),
    /// It is to be asked.
    Begun(Begun<T>, watch::Receiver<Option<T>>),
}

/// A question that is being asked. Dropping it without an outcome ends the wait of all others.
pub(crate) struct Begun<T> {
    flights: Arc<Flights<T>>,
    key: FlightKey,
    sender: watch::Sender<Option<T>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Flights<T> {
    /// Joins those who wait for the answer to this question, or begins.
    pub(crate) fn join(self: &Arc<Self>, key: FlightKey) -> Flight<T> {
        let mut flights = self.lock();
        if let Some(waiting) = flights.get(&key) {
            return Flight::Joined(waiting.clone());
        }
        let (sender, receiver) = watch::channel(None);
        flights.insert(key, receiver.clone());
        drop(flights);
        let begun = Begun {
            flights: self.clone(),
            key,
            sender,
        };
        Flight::Begun(begun, receiver)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FlightKey, watch::Receiver<Option<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Begun<T> {
    /// Hands the outcome to everybody who waits for it.
    pub(crate) fn end(self, outcome: T) {
        self.sender.send_replace(Some(outcome));
    }
}

impl<T> Drop for Begun<T> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.key);
    }
}

/// The outcome; none if the question was given up.
pub(crate) async fn outcome<T: Clone>(mut waiting: watch::Receiver<Option<T>>) -> Option<T> {
    let outcome = waiting.wait_for(Option::is_some).await;
    outcome.ok()?.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FlightKey = [7; 32];

    #[tokio::test]
    async fn whoever_joins_gets_the_outcome_of_the_first_and_later_ones_begin_anew() {
        let flights = Arc::<Flights<u8>>::default();
        let Flight::Begun(begun, own) = flights.join(KEY) else {
            panic!("it was not in flight");
        };
        let Flight::Joined(other) = flights.join(KEY) else {
            panic!("it was in flight");
        };
        begun.end(3);
        assert_eq!(
            (outcome(own).await, outcome(other).await),
            (Some(3), Some(3))
        );
        assert!(matches!(flights.join(KEY), Flight::Begun(..)));
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn one_that_is_given_up_keeps_nobody_waiting() {
        let flights = Arc::<Flights<u8>>::default();
        let Flight::Begun(begun, own) = flights.join(KEY) else {
            panic!("it was not in flight");
        };
        drop(begun);
        assert_eq!(outcome(own).await, None);
    }
}
