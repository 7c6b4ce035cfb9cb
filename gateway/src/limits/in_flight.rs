//! Requests whose answer is awaited or relayed: calls, and streams that only listen. Of each, a subject may have some and
//! all together a limited number (`limits.calls…`, `limits.listening_streams…`).
//!
//! Each of them costs memory and up to one connection to an upstream, as long as the upstream or the client likes, and costs
//! the client nothing. A place is counted until its [`Place`] is dropped, however the answer ends.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mcp_gateway_core::refusal::reason::Reason;

use super::accounts::SubjectAccount;

/// What a forwarded request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer to a call, in one piece or as an event stream.
    Call,
    /// A stream that only listens: GET, and subscriptions.
    ListeningStream,
}

/// The most of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    /// Of one subject.
    pub(crate) own: usize,
    /// Of all together.
    pub(crate) all: usize,
}

/// The most of both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlightLimits {
    pub(crate) calls: Most,
    pub(crate) listening_streams: Most,
}

impl InFlightLimits {
    /// The limit that a request reached, for the operator.
    pub(crate) fn reached(&self, reason: Reason) -> String {
        let (key, most) = match reason {
            Reason::TooManyCalls => ("calls_per_principal", self.calls.own),
            Reason::CallsExhausted => ("calls", self.calls.all),
            Reason::TooManyStreams => (
                "listening_streams_per_principal",
                self.listening_streams.own,
            ),
            _ => ("listening_streams", self.listening_streams.all),
        };
        format!("{most} in flight (limits.{key})")
    }
}

/// How many there are of each kind.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    calls: AtomicUsize,
    listening_streams: AtomicUsize,
}

impl InFlight {
    /// Takes a place for one more request of this subject.
    ///
    /// # Errors
    /// [`Reason::TooManyCalls`] or [`Reason::TooManyStreams`] at the subject's limit, [`Reason::CallsExhausted`] or
    /// [`Reason::StreamsExhausted`] at the total limit.
    pub(crate) fn try_acquire(
        self: &Arc<Self>,
        kind: Kind,
        subject: &Arc<SubjectAccount>,
        limits: &InFlightLimits,
    ) -> Result<Place, Reason> {
        let (most, too_many, exhausted) = match kind {
            Kind::Call => (limits.calls, Reason::TooManyCalls, Reason::CallsExhausted),
            Kind::ListeningStream => (
                limits.listening_streams,
                Reason::TooManyStreams,
                Reason::StreamsExhausted,
            ),
        };
        if !take_one(kind.count_of(subject), most.own) {
            return Err(too_many);
        }
        if !take_one(kind.count_in(self), most.all) {
            kind.count_of(subject).fetch_sub(1, Ordering::Relaxed);
            return Err(exhausted);
        }
        Ok(Place {
            in_flight: self.clone(),
            subject: subject.clone(),
            kind,
        })
    }

    /// How many calls are in flight.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl Kind {
    fn count_of(self, subject: &SubjectAccount) -> &AtomicUsize {
        match self {
            Self::Call => &subject.calls,
            Self::ListeningStream => &subject.listening_streams,
        }
    }

    const fn count_in(self, all: &InFlight) -> &AtomicUsize {
        match self {
            Self::Call => &all.calls,
            Self::ListeningStream => &all.listening_streams,
        }
    }
}

fn take_one(count: &AtomicUsize, most: usize) -> bool {
    let one_more = |count: usize| (count < most).then_some(count + 1);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
        .is_ok()
}

/// The place of one request; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    in_flight: Arc<InFlight>,
    subject: Arc<SubjectAccount>,
    kind: Kind,
}

impl Place {
    /// Whether it is that of a stream that only listens.
    pub(crate) fn listens(&self) -> bool {
        self.kind == Kind::ListeningStream
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counts = [
            self.kind.count_in(&self.in_flight),
            self.kind.count_of(&self.subject),
        ];
        for count in counts {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::principal::Subject;

    use super::*;
    use crate::limits::accounts::Accounts;

    fn limits(own: usize, all: usize) -> InFlightLimits {
        InFlightLimits {
            calls: Most { own, all },
            listening_streams: Most { own, all },
        }
    }

    fn account(accounts: &Arc<Accounts<Subject>>, subject: &str) -> Arc<SubjectAccount> {
        accounts.of(("issuer".into(), subject.into()))
    }

    #[test]
    fn a_subject_gets_its_places_and_all_together_get_theirs() {
        let (accounts, in_flight) = (Arc::default(), Arc::<InFlight>::default());
        let limits = limits(2, 3);
        let (one, other) = (account(&accounts, "one"), account(&accounts, "other"));
        for (kind, too_many, exhausted) in [
            (Kind::Call, Reason::TooManyCalls, Reason::CallsExhausted),
            (
                Kind::ListeningStream,
                Reason::TooManyStreams,
                Reason::StreamsExhausted,
            ),
        ] {
            let take = |subject| in_flight.try_acquire(kind, subject, &limits);
            let mut held = vec![take(&one).unwrap(), take(&one).unwrap()];
            assert_eq!(take(&one).unwrap_err(), too_many);
            held.push(take(&other).unwrap());
            for _ in 0..10 {
                assert_eq!(take(&other).unwrap_err(), exhausted);
            }
            held.remove(0);
            held.push(take(&other).unwrap());
            assert_eq!(take(&other).unwrap_err(), too_many, "its refused ones");
            held.clear();
            assert_eq!(take(&one).unwrap().listens(), kind != Kind::Call);
        }
        assert_eq!(in_flight.calls(), 0);
    }

    #[test]
    fn calls_and_listening_streams_have_separate_places() {
        let (accounts, in_flight) = (Arc::default(), Arc::<InFlight>::default());
        let subject = account(&accounts, "one");
        let _call = in_flight.try_acquire(Kind::Call, &subject, &limits(1, 1));
        let listening = in_flight.try_acquire(Kind::ListeningStream, &subject, &limits(1, 1));
        assert!(listening.is_ok());
        assert_eq!(in_flight.calls(), 1);
    }

    #[test]
    fn callers_at_the_same_time_get_no_more_than_the_limits() {
        let (accounts, in_flight) = (Arc::default(), Arc::<InFlight>::default());
        let most = &limits(30, 50);
        let held: Vec<_> = std::thread::scope(|scope| {
            let threads = (0..8).map(|thread| {
                let subject = account(&accounts, ["one", "other"][thread % 2]);
                let in_flight = &in_flight;
                scope.spawn(move || {
                    let tries = (0..100).map(|_| in_flight.try_acquire(Kind::Call, &subject, most));
                    tries.filter_map(Result::ok).collect::<Vec<_>>()
                })
            });
            let threads: Vec<_> = threads.collect();
            let places = threads.into_iter().map(|thread| thread.join().unwrap());
            places.flatten().collect()
        });
        assert_eq!((held.len(), in_flight.calls()), (50, 50));
    }
}
