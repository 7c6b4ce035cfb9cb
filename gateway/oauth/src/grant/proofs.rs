//! The DPoP proofs that were used with a code, or with the refresh tokens of a grant (RFC 9449 §11.1): a request that is copied with its
//! proof is not one of the client, and must not end its grant as one.
//!
//! They are in the row of the code or grant. So nobody can fill the memory of others, every process of a shared store has them, and a
//! proof is judged in the same change as the code or refresh token that it comes with.

use std::time::Duration;

use mcp_gateway_core::{
    time::UnixTime,
    token::dpop::{PROOF_AGE, Proof},
};
use serde::{Deserialize, Serialize};

use crate::{id::Id, store::text::UnixTimeText};

/// The most proofs that one code or grant remembers; with more, the one is forgotten that is refused by its time first. A proof is
/// accepted for ten minutes at most, and a client that refreshes when its access token has expired uses one in that time.
const MOST: usize = 8;

/// How much longer than its time a proof is remembered: the clocks of two processes differ by less.
const CLOCKS: Duration = Duration::from_secs(60);

/// A proof that was verified: what identifies it, and the last second in which it may be accepted somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedProof(Id, UnixTimeText);

impl UsedProof {
    /// What is remembered of a proof.
    pub fn new(proof: &Proof) -> Self {
        let end = proof.issued_at.plus(PROOF_AGE).plus(CLOCKS);
        Self(Id::new(proof.id), end.into())
    }
}

/// The proofs of one code or grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedProofs(Vec<UsedProof>);

impl UsedProofs {
    /// Whether it was used before, as far as is remembered.
    pub fn has(&self, proof: &UsedProof) -> bool {
        self.0.iter().any(|used| used.0 == proof.0)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers a proof, and forgets those whose time has passed.
    pub fn add(&mut self, proof: UsedProof, now: UnixTime) {
        self.0.retain(|used| used.1.0 >= now);
        self.0.push(proof);
        self.0.sort_by_key(|used| used.1);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::new(1_800_000_000);

    fn proof(number: u8, issued_at: UnixTime) -> UsedProof {
        UsedProof::new(&Proof {
            key: [1; 32],
            id: [number; 16],
            issued_at,
        })
    }

    fn later(seconds: u64) -> UnixTime {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_proof_is_remembered_while_its_time_is_accepted_and_a_minute_more() {
        let mut used = UsedProofs::default();
        let one = proof(1, NOW);
        assert!(used.is_empty() && !used.has(&one));
        used.add(one, NOW);
        for (after, is_remembered) in [(0, true), (300, true), (360, true), (361, false)] {
            let mut used = used.clone();
            used.add(proof(2, later(after)), later(after));
            assert_eq!(used.has(&one), is_remembered, "{after}");
            assert!(used.has(&proof(2, NOW)));
        }
    }

    #[test]
    fn of_too_many_proofs_the_ones_stay_that_are_accepted_the_longest() {
        let mut used = UsedProofs::default();
        let count = u8::try_from(MOST).unwrap() + 3;
        // The newest ones come first.
        for number in (0..count).rev() {
            used.add(proof(number, later(u64::from(number))), NOW);
        }
        let has: Vec<_> = (0..count).map(|at| used.has(&proof(at, NOW))).collect();
        assert_eq!(has, [vec![false; 3], vec![true; MOST]].concat());
    }

    #[test]
    fn a_row_has_few_bytes_for_each_proof() {
        let mut used = UsedProofs::default();
        used.add(proof(1, NOW), NOW);
        let written = serde_json::to_string(&used).unwrap();
        assert_eq!(written, r#"[["AQEBAQEBAQEBAQEBAQEBAQ",1800000360]]"#);
        assert_eq!(serde_json::from_str::<UsedProofs>(&written).unwrap(), used);
    }
}
