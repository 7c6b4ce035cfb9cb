//! Which proofs were used: each is accepted once while its `iat` is accepted (RFC 9449 §11.1), by this process.
//!
//! The window is bounded. One owner, the principal of the token, has a [`share`] of it, which is smaller the fuller the window is. What
//! the others cannot use is the reserve of owners of few proofs: who wants to keep them out needs very many principals. A proof is entered
//! only after it was verified: it takes a valid token to enter one.
//!
//! Why the reserve holds: while less than a quarter is free, every proof that is entered is one of the first of its owner, of which there
//! are `most / FEW`. So `k` owners enter that many each, and another one finds room for its own while `k + 1` of them fit into the
//! quarter. The same holds for the quarter before, and `most / SOME`.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::expected::PROOF_AGE;
use super::proof::{Proof, ProofId};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;

/// While half of the window is free, one owner may use a tenth of it.
const MANY: usize = 10;

/// While a quarter is free, a 200th. With at most 49 others, each owner always has room for that many.
const SOME: usize = 200;

/// Then a 4000th, and at least one proof. With at most 999 others, each owner always has room for that many.
const FEW: usize = 4000;

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
        let own = self.shares.get(&owner).copied().unwrap_or_default();
        if own >= share(most, self.used.len()) {
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

/// With how many proofs of its own an owner enters no other one, while `used` of `most` are used.
pub const fn share(most: usize, used: usize) -> usize {
    let quarter = most / 4;
    let part = if used < most - 2 * quarter {
        MANY
    } else if used < most - quarter {
        SOME
    } else {
        FEW
    };
    let share = most / part;
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

    /// One of many.
    fn numbered(number: usize, issued_at: i64) -> Proof {
        Proof {
            key: [0; 32],
            id: (number as u128).to_be_bytes(),
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
    fn the_share_of_one_owner_is_smaller_the_fuller_the_window_is() {
        for (most, used, expected) in [
            (200_000, 0, 20_000),
            (200_000, 99_999, 20_000),
            (200_000, 100_000, 1000),
            (200_000, 149_999, 1000),
            (200_000, 150_000, 50),
            (200_000, 200_000, 50),
            (1000, 499, 100),
            (1000, 500, 5),
            (1000, 750, 1),
            (1, 0, 1),
        ] {
            assert_eq!(share(most, used), expected, "{used} of {most}");
        }
    }

    #[test]
    fn owners_of_many_leave_room_for_owners_of_few_until_the_window_is_full() {
        let mut window = ProofWindow::default();
        let mut number = 0;
        let mut next = |window: &mut ProofWindow, owner| {
            number += 1;
            enter(window, &proof(number, NOW), owner, NOW)
        };
        // Half of the window is used up by twos, the rest by ones.
        for owner in 0..5 {
            assert_eq!(next(&mut window, owner), Ok(()));
            assert_eq!(next(&mut window, owner), Ok(()));
            assert_eq!(next(&mut window, owner), Err(Reason::TooManyDpopProofs));
        }
        for owner in 5..15 {
            assert_eq!(next(&mut window, owner), Ok(()));
            assert_eq!(next(&mut window, owner), Err(Reason::TooManyDpopProofs));
        }
        assert_eq!(next(&mut window, 15), Err(Reason::DpopProofsExhausted));
        assert_eq!(next(&mut window, 0), Err(Reason::TooManyDpopProofs));
        assert_eq!(window.len(), MOST);
    }

    #[test]
    fn room_is_free_again_when_proofs_are_too_old() {
        let mut window = ProofWindow::default();
        for number in 0..20 {
            let owner = Owner::from(number);
            enter(&mut window, &proof(number, NOW), owner, NOW).unwrap();
        }
        let later = NOW + 301;
        for number in 100..120 {
            let owner = Owner::from(number);
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
        for number in 0..LARGE {
            let owner = number as Owner;
            let entered = window.enter(&numbered(number, NOW), owner, LARGE, UnixTime::new(NOW));
            assert_eq!(entered, Ok(()), "{number}");
        }
        let later = NOW + 301;
        // The proof of this owner is the first that was entered, and the last that would be removed one by one.
        let entered = window.enter(&numbered(LARGE, later), 0, LARGE, UnixTime::new(later));
        assert_eq!(entered, Ok(()));
        assert_eq!((window.len(), window.shares.len()), (1, 1));
    }

    /// Numbers that look random and are the same in every run.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % limit
        }
    }

    /// A window that these many owners fill as far as they can: in turns of random length, at random times, with proofs of random age.
    struct Filled {
        window: ProofWindow,
        most: usize,
        entered: usize,
        now: i64,
        numbers: Numbers,
    }

    impl Filled {
        fn by(owners: u64, most: usize, turns: u64) -> Self {
            let mut filled = Self {
                window: ProofWindow::default(),
                most,
                entered: 0,
                now: NOW,
                numbers: Numbers(owners),
            };
            for _ in 0..turns {
                let owner = filled.numbers.below(owners);
                let proofs = [1, 10, 1000][filled.numbers.below(3) as usize];
                filled.enters(owner, proofs);
                // A proof that is ahead of the clock is remembered for longer.
                filled.now += [0, 0, 1, 30][filled.numbers.below(4) as usize];
            }
            // None of them can enter another one.
            for owner in 0..owners {
                filled.enters(owner, most);
            }
            filled
        }

        /// How many proofs of this owner have room, one after the other.
        fn enters(&mut self, owner: Owner, proofs: usize) -> usize {
            let now = UnixTime::new(self.now);
            for entered in 0..proofs {
                let ahead = self.numbers.below(301) as i64;
                let proof = numbered(self.entered, self.now + ahead);
                if self.window.enter(&proof, owner, self.most, now).is_err() {
                    return entered;
                }
                self.entered += 1;
                assert!(self.window.len() <= self.most);
            }
            proofs
        }
    }

    #[test]
    fn however_others_fill_the_window_a_new_owner_has_room_for_its_first_proofs() {
        const LARGE: usize = 20_000;
        let mut fullest = 0;
        for (others, least) in [
            (1, LARGE / SOME),
            (10, LARGE / SOME),
            (49, LARGE / SOME),
            (50, LARGE / FEW),
            (100, LARGE / FEW),
            (300, LARGE / FEW),
            (999, LARGE / FEW),
        ] {
            for turns in [0, others, 5 * others] {
                let mut filled = Filled::by(others, LARGE, turns);
                fullest = fullest.max(filled.window.len());
                let before = filled.window.len();
                let room = filled.enters(Owner::MAX, LARGE);
                assert!(room >= least, "{others} {turns} {before}: {room}");
            }
        }
        // They did what they could.
        assert!(fullest > LARGE - LARGE / 50, "{fullest}");
    }

    #[test]
    fn ten_owners_use_no_more_than_half_of_the_window_and_a_little() {
        const LARGE: usize = 20_000;
        let filled = Filled::by(10, LARGE, 300);
        let most = LARGE / 2 + 10 * LARGE / SOME;
        assert!(filled.window.len() <= most, "{}", filled.window.len());
    }
}
