//! The addresses of a name: which are new and which are gone with each answer, and how long the last answer holds where resolution fails.

use std::{collections::BTreeSet, time::Duration};

/// The most addresses of one name that are endpoints.
pub const MAX_ADDRESSES: usize = 100;

/// How long the last answer holds while resolution fails.
pub const LAST_ANSWER: Duration = Duration::from_secs(5 * 60);

/// The addresses of a name.
#[derive(Clone, Debug)]
pub struct Resolution<A> {
    addresses: BTreeSet<A>,
    answered_at: Option<Duration>,
    /// Attempts that failed since the last answer.
    failures: u64,
}

/// What an answer changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<A> {
    /// Addresses that are new, in order.
    pub added: Vec<A>,
    /// Addresses that are gone, in order.
    pub removed: Vec<A>,
    /// How many addresses of the answer are left out, above [`MAX_ADDRESSES`].
    pub left_out: usize,
}

impl<A> Change<A> {
    /// Whether the addresses are the same as before.
    pub const fn is_none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// What a failure changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<A> {
    /// The last answer still holds, for so long.
    Holds {
        /// How long.
        left: Duration,
        /// Whether it is the first failure since the answer.
        is_first: bool,
    },
    /// The last answer holds no longer: these addresses are gone.
    Over(Vec<A>),
    /// There is no address, as before.
    Nothing {
        /// Whether it is the first failure.
        is_first: bool,
    },
}

impl<A> Default for Resolution<A> {
    fn default() -> Self {
        Self {
            addresses: BTreeSet::new(),
            answered_at: None,
            failures: 0,
        }
    }
}

impl<A: Ord + Clone> Resolution<A> {
    /// The addresses, in order.
    pub const fn addresses(&self) -> &BTreeSet<A> {
        &self.addresses
    }

    /// Whether the last attempt failed.
    pub const fn fails(&self) -> bool {
        self.failures > 0
    }

    /// The name has these addresses. An answer without any is a failure: a name server that is short of data must not remove all
    /// endpoints. Those that stay are kept before new ones.
    ///
    /// # Errors
    /// There is no address in it.
    pub fn answered(
        &mut self,
        answer: impl IntoIterator<Item = A>,
        now: Duration,
    ) -> Result<Change<A>, Failure<A>> {
        let answer: BTreeSet<A> = answer.into_iter().collect();
        if answer.is_empty() {
            return Err(self.failed(now));
        }
        let stay = answer.intersection(&self.addresses).cloned();
        let mut kept: BTreeSet<A> = stay.collect();
        let room = MAX_ADDRESSES.saturating_sub(kept.len());
        let added: Vec<A> = answer.difference(&kept).take(room).cloned().collect();
        let removed = self.addresses.difference(&kept).cloned().collect();
        kept.extend(added.iter().cloned());
        let left_out = answer.len() - kept.len();
        (self.addresses, self.answered_at, self.failures) = (kept, Some(now), 0);
        Ok(Change {
            added,
            removed,
            left_out,
        })
    }

    /// The name could not be resolved.
    pub fn failed(&mut self, now: Duration) -> Failure<A> {
        self.failures = self.failures.saturating_add(1);
        let is_first = self.failures == 1;
        let answered_at = match self.answered_at {
            Some(answered_at) if !self.addresses.is_empty() => answered_at,
            _ => return Failure::Nothing { is_first },
        };
        let left = (answered_at + LAST_ANSWER).saturating_sub(now);
        if !left.is_zero() {
            return Failure::Holds { left, is_first };
        }
        Failure::Over(std::mem::take(&mut self.addresses).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_keeps_what_stays_and_names_what_is_new_and_gone() {
        let mut names = Resolution::default();
        let mut change = |answer: &[u8]| {
            let change = names.answered(answer.iter().copied(), SECOND).unwrap();
            assert_eq!(change.left_out, 0);
            (change.added, change.removed)
        };
        assert_eq!(change(&[2, 1, 2]), (vec![1, 2], vec![]));
        assert_eq!(change(&[1, 2]), (vec![], vec![]));
        assert_eq!(change(&[3, 2]), (vec![3], vec![1]));
        assert_eq!(change(&[4]), (vec![4], vec![2, 3]));
    }

    #[test]
    fn the_last_answer_holds_for_a_bounded_time() {
        let mut names = Resolution::default();
        let nothing = |is_first| Failure::Nothing { is_first };
        assert_eq!(names.failed(SECOND), nothing(true));
        assert_eq!(names.failed(SECOND), nothing(false));
        let start = 10 * SECOND;
        names.answered([1, 2], start).unwrap();
        let holds = |seconds, is_first| Failure::Holds {
            left: LAST_ANSWER - seconds * SECOND,
            is_first,
        };
        assert_eq!(names.failed(start + 5 * SECOND), holds(5, true));
        assert!(names.fails());
        // An answer without addresses is one that failed.
        let empty = names.answered([], start + 299 * SECOND);
        assert_eq!(empty, Err(holds(299, false)));
        assert_eq!(names.addresses().len(), 2);
        let over = names.failed(start + LAST_ANSWER);
        assert_eq!(over, Failure::Over(vec![1, 2]));
        assert_eq!(names.failed(start + LAST_ANSWER), nothing(false));
        let back = names.answered([2], start + LAST_ANSWER).unwrap();
        assert_eq!((back.added, back.removed), (vec![2], vec![]));
        assert!(!names.fails());
    }

    #[test]
    fn an_answer_begins_the_time_anew() {
        let mut names = Resolution::default();
        names.answered([1], SECOND).unwrap();
        let later = SECOND + LAST_ANSWER - SECOND;
        names.answered([1], later).unwrap();
        let left = LAST_ANSWER - 2 * SECOND;
        let is_first = true;
        assert_eq!(
            names.failed(later + 2 * SECOND),
            Failure::Holds { left, is_first }
        );
    }

    #[test]
    fn the_number_of_addresses_is_bounded_and_known_ones_stay() {
        let mut names = Resolution::default();
        let most = u16::try_from(MAX_ADDRESSES).unwrap();
        let known = 1000..1000 + most;
        names.answered(known.clone(), SECOND).unwrap();
        let change = names.answered(0..1500, SECOND).unwrap();
        assert!(change.is_none());
        assert_eq!(change.left_out, 1500 - MAX_ADDRESSES);
        let (fewer, other) = (1010..1000 + most, 0..20);
        let change = names.answered(other.chain(fewer), SECOND).unwrap();
        assert_eq!(change.added, (0..10).collect::<Vec<_>>());
        assert_eq!(change.removed, (1000..1010).collect::<Vec<_>>());
        assert_eq!(
            (change.left_out, names.addresses().len()),
            (10, MAX_ADDRESSES)
        );
    }
}
