//! Which proofs were used: each is accepted once while its `iat` is accepted (RFC 9449 §11.1), by this process.
//!
//! The window is bounded. One owner, the principal of the token, has a share of it, so that nobody's proofs keep those of others
//! out. A proof is entered only after it was verified: it takes a valid token to enter one.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::expected::PROOF_AGE;
use super::proof::{Proof, ProofId};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;

/// The part of the window that one owner may use.
const SHARE: usize = 10;

/// The most old proofs that one new proof removes while there is room: so removing seldom takes long.
const MOST_REMOVED: usize = 8;

/// Who presented a proof: a digest of its principal.
pub type Owner = u64;

/// The proofs that were used.
#[derive(Debug, Default)]
pub struct ProofWindow {
    used: HashSet<ProofId>,
    /// The same by the last second in which they could be used again.
    by_end: BTreeMap<i64, Vec<(ProofId, Owner)>>,
    shares: HashMap<Owner, usize>,
    /// Proofs that end at this second or before may have been forgotten.
    forgotten: Option<i64>,
}

impl ProofWindow {
    /// Enters a proof. `most` is the number of proofs of all owners together.
    ///
    /// # Errors
    /// [`Reason::DpopProofReplayed`] if it was used before. [`Reason::DpopProofTime`] if it may have been: the clock was set back.
    /// [`Reason::TooManyDpopProofs`] or [`Reason::DpopProofsExhausted`] if there is no room.
    pub fn enter(
        &mut self,
        proof: &Proof,
        owner: Owner,
        most: usize,
        now: UnixTime,
    ) -> Result<(), Reason> {
        self.forget(now);
        if self.room(owner, most).is_err() {
            self.forget_all(now);
        }
        let end = proof.issued_at.plus(PROOF_AGE).secs();
        if self.forgotten.is_some_and(|forgotten| end <= forgotten) {
            return Err(Reason::DpopProofTime);
        }
        if self.used.contains(&proof.id) {
            return Err(Reason::DpopProofReplayed);
        }
        self.room(owner, most)?;
        self.used.insert(proof.id);
        *self.shares.entry(owner).or_default() += 1;
        self.by_end.entry(end).or_default().push((proof.id, owner));
        Ok(())
    }

    /// How many proofs are remembered.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Whether no proof is remembered.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// Whether one more proof of this owner has room.
    fn room(&self, owner: Owner, most: usize) -> Result<(), Reason> {
        if self.shares.get(&owner).copied().unwrap_or_default() >= share(most) {
            return Err(Reason::TooManyDpopProofs);
        }
        if self.used.len() >= most {
            return Err(Reason::DpopProofsExhausted);
        }
        Ok(())
    }

    /// Removes all proofs that are not accepted any more: none of them is a reason to refuse. Each is removed once, so that this costs
    /// as much as entering them.
    fn forget_all(&mut self, now: UnixTime) {
        while let Some(first) = self.by_end.first_entry() {
            if *first.key() >= now.secs() {
                return;
            }
            let (end, proofs) = first.remove_entry();
            self.forgotten = self.forgotten.max(Some(end));
            for (id, owner) in proofs {
                self.remove(&id, owner);
            }
        }
    }

    /// Removes some proofs that are not accepted any more.
    fn forget(&mut self, now: UnixTime) {
        for _ in 0..MOST_REMOVED {
            let Some(mut first) = self.by_end.first_entry() else {
                return;
            };
            if *first.key() >= now.secs() {
                return;
            }
            self.forgotten = self.forgotten.max(Some(*first.key()));
            let removed = first.get_mut().pop();
            if first.get().is_empty() {
                first.remove();
            }
            if let Some((id, owner)) = removed {
                self.remove(&id, owner);
            }
        }
    }

    fn remove(&mut self, id: &ProofId, owner: Owner) {
        self.used.remove(id);
        if let Some(count) = self.shares.get_mut(&owner) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.shares.remove(&owner);
            }
        }
    }
}

/// The most proofs of one owner.
pub const fn share(most: usize) -> usize {
    let share = most / SHARE;
    if share == 0 { 1 } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_257_000;
    const MOST: usize = 20;

    fn proof(number: u8, issued_at: i64) -> Proof {
        Proof {
            key: [0; 32],
            id: [number; 16],
            issued_at: UnixTime::new(issued_at),
        }
    }

    fn enter(
        window: &mut ProofWindow,
        proof: &Proof,
        owner: Owner,
        now: i64,
    ) -> Result<(), Reason> {
        window.enter(proof, owner, MOST, UnixTime::new(now))
    }

    #[test]
    fn a_proof_is_entered_once_while_it_is_accepted() {
        let mut window = ProofWindow::default();
        let one = proof(1, NOW);
        assert_eq!(enter(&mut window, &one, 1, NOW), Ok(()));
        for after in [0, 1, 299, 300] {
            let again = enter(&mut window, &one, 2, NOW + after);
            assert_eq!(again, Err(Reason::DpopProofReplayed), "{after}");
        }
        assert_eq!(
            enter(&mut window, &proof(2, NOW + 300), 1, NOW + 300),
            Ok(())
        );
        // It is forgotten only where its time refuses it.
        let again = enter(&mut window, &one, 1, NOW + 301);
        assert_eq!(again, Err(Reason::DpopProofTime));
        assert_eq!(window.len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_a_proof_usable_again() {
        let mut window = ProofWindow::default();
        let one = proof(1, NOW);
        enter(&mut window, &one, 1, NOW).unwrap();
        enter(&mut window, &proof(2, NOW + 3600), 1, NOW + 3600).unwrap();
        assert_eq!(window.len(), 1);
        assert_eq!(
            enter(&mut window, &one, 1, NOW + 10),
            Err(Reason::DpopProofTime)
        );
        // A proof that is newer than all that were forgotten is accepted.
        assert_eq!(enter(&mut window, &proof(3, NOW + 10), 1, NOW + 10), Ok(()));
    }

    #[test]
    fn one_owner_has_a_share_and_all_together_the_rest() {
        let mut window = ProofWindow::default();
        let mut number = 0;
        let mut next = |window: &mut ProofWindow, owner| {
            number += 1;
            enter(window, &proof(number, NOW), owner, NOW)
        };
        assert_eq!(share(MOST), 2);
        for owner in 0..10 {
            assert_eq!(next(&mut window, owner), Ok(()));
            assert_eq!(next(&mut window, owner), Ok(()));
            assert_eq!(next(&mut window, owner), Err(Reason::TooManyDpopProofs));
        }
        assert_eq!(next(&mut window, 10), Err(Reason::DpopProofsExhausted));
        assert_eq!(window.len(), MOST);
    }

    #[test]
    fn room_is_free_again_when_proofs_are_too_old() {
        let mut window = ProofWindow::default();
        for number in 0..20 {
            let owner = Owner::from(number / 2);
            enter(&mut window, &proof(number, NOW), owner, NOW).unwrap();
        }
        let later = NOW + 301;
        for number in 100..120 {
            let owner = Owner::from(number / 2);
            assert_eq!(
                enter(&mut window, &proof(number, later), owner, later),
                Ok(())
            );
        }
        assert_eq!(window.len(), MOST);
        assert_eq!(window.shares.values().sum::<usize>(), MOST);
        assert_eq!(window.by_end.len(), 1);
    }

    #[test]
    fn no_proof_that_is_too_old_is_a_reason_to_refuse() {
        const LARGE: usize = 1000;
        let mut window = ProofWindow::default();
        let of = |number: usize, issued_at| Proof {
            key: [0; 32],
            id: (number as u128).to_be_bytes(),
            issued_at: UnixTime::new(issued_at),
        };
        for number in 0..LARGE {
            let owner = (number / share(LARGE)) as Owner;
            let entered = window.enter(&of(number, NOW), owner, LARGE, UnixTime::new(NOW));
            assert_eq!(entered, Ok(()), "{number}");
        }
        let later = NOW + 301;
        // The proofs of this owner are the first that were entered, and the last that would be removed one by one.
        let entered = window.enter(&of(LARGE, later), 0, LARGE, UnixTime::new(later));
        assert_eq!(entered, Ok(()));
        assert_eq!((window.len(), window.shares.len()), (1, 1));
    }

    #[test]
    fn the_smallest_window_has_room_for_one_proof_of_each_owner() {
        assert_eq!((share(1), share(10), share(1000)), (1, 1, 100));
    }
}
