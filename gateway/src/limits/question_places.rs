//! Questions to somebody else that are in flight: to one decision point (`decision_points.*.questions`, `decision_points.*.questions_per_principal`),
//! or to the token endpoint that exchanges tokens for one upstream (`calls` and `calls_per_principal` of `token_exchange`). A subject has a share of
//! them, at each that is asked, so that one caller with many different questions does not take the places of all others.

use std::sync::Arc;

use mcp_gateway_core::principal::Subject;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::shares::{Share, Shares};

/// The places of one that is asked.
#[derive(Debug)]
pub(crate) struct QuestionPlaces {
    all: Arc<Semaphore>,
    /// The most of one subject.
    own: usize,
    shares: Shares<Subject>,
}

/// A subject's share, in use. Dropping it gives it back.
pub(crate) type QuestionShare = Share<Subject>;

/// A place in use. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct QuestionPlace {
    _share: QuestionShare,
    _of_all: OwnedSemaphorePermit,
}

impl QuestionPlaces {
    /// So many places, at most `own` of them for one subject.
    pub(crate) fn new(all: usize, own: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            own: own.min(all),
            shares: Shares::default(),
        }
    }

    /// One more question of this subject; none if it has as many in flight as it may.
    pub(crate) fn share(&self, subject: &Subject) -> Option<QuestionShare> {
        self.shares.try_acquire(subject.clone(), self.own)
    }

    /// A place for a question, waited for until the deadline; none if there is none until then.
    pub(crate) async fn place(
        &self,
        share: QuestionShare,
        deadline: Instant,
    ) -> Option<QuestionPlace> {
        let waited = timeout_at(deadline, self.all.clone().acquire_owned()).await;
        Some(QuestionPlace {
            _share: share,
            _of_all: waited.ok()?.ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn subject(name: &str) -> Subject {
        ("https://issuer.test/".into(), name.into())
    }

    #[tokio::test(start_paused = true)]
    async fn one_subject_does_not_take_all_places_and_a_full_point_is_waited_for() {
        let (ana, ben) = (subject("ana"), subject("ben"));
        let places = QuestionPlaces::new(3, 2);
        let soon = || Instant::now() + Duration::from_millis(100);
        let mut held = Vec::new();
        for _ in 0..2 {
            let share = places.share(&ana).unwrap();
            held.push(places.place(share, soon()).await.unwrap());
        }
        assert!(places.share(&ana).is_none());
        let share = places.share(&ben).unwrap();
        held.push(places.place(share, soon()).await.unwrap());
        let share = places.share(&ben).unwrap();
        let begun = Instant::now();
        assert!(places.place(share, soon()).await.is_none());
        assert!(begun.elapsed() >= Duration::from_millis(100));
        held.pop();
        let (one, other) = (places.share(&ben), places.share(&ben));
        assert!(one.is_some() && other.is_some() && places.share(&ben).is_none());
        assert!(places.place(one.unwrap(), soon()).await.is_some());
        held.clear();
        assert!(places.share(&ana).is_some());
        drop(other);
        assert!(places.shares.are_empty());
    }

    #[test]
    fn a_subject_has_a_share_at_each_that_is_asked() {
        let (one, other) = (QuestionPlaces::new(4, 2), QuestionPlaces::new(4, 1));
        let ana = subject("ana");
        let held = [one.share(&ana), one.share(&ana), other.share(&ana)];
        assert!(held.iter().all(Option::is_some));
        assert!(one.share(&ana).is_none() && other.share(&ana).is_none());
    }
}
