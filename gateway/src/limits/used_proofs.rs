//! The DPoP proofs that were used (`limits.dpop_proofs`), with a lock around the core's window. Each process remembers its own.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use mcp_gateway_core::{
    refusal::{Refusal, fault::Fault, reason::Reason},
    time::UnixTime,
    token::dpop::{
        Proof,
        window::{ProofWindow, share},
    },
};

/// The proofs that were used.
#[derive(Debug, Default)]
pub(crate) struct UsedProofs {
    window: Mutex<ProofWindow>,
    /// With a random key: nobody chooses owners that are taken for one another.
    owners: RandomState,
}

impl UsedProofs {
    /// Enters a proof that was verified; `most` is the number of proofs of all owners together.
    ///
    /// # Errors
    /// The proof was used before, or there is no room.
    pub(crate) fn enter(
        &self,
        proof: &Proof,
        owner: impl Hash,
        most: usize,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let owner = self.owners.hash_one(owner);
        let mut window = self.lock();
        let entered = window.enter(proof, owner, most, now);
        let detail = |reason| detail(reason, most, window.len());
        entered.map_err(|reason| Fault::new(reason, detail(reason)).into())
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, ProofWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn detail(reason: Reason, most: usize, used: usize) -> String {
    match reason {
        Reason::TooManyDpopProofs => format!(
            "at least {} DPoP proofs of the principal are remembered already, its share while {used} of {most} are used (limits.dpop_proofs)",
            share(most, used)
        ),
        Reason::DpopProofsExhausted => {
            format!("{most} DPoP proofs are remembered already (limits.dpop_proofs)")
        }
        Reason::DpopProofTime => {
            "iat is older than proofs that were forgotten already: the clock was set back"
                .to_owned()
        }
        _ => "jti was used before with this key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(number: u8) -> Proof {
        Proof {
            key: [0; 32],
            id: [number; 16],
            issued_at: UnixTime::new(1000),
        }
    }

    #[test]
    fn the_detail_of_a_refusal_names_the_limit() {
        let used = UsedProofs::default();
        let now = UnixTime::new(1000);
        let enter = |number, owner: &str| {
            let entered = used.enter(&proof(number), owner, 20, now);
            entered.map_err(|refusal| (refusal.reason, refusal.detail.unwrap_or_default()))
        };
        assert_eq!(enter(1, "alice"), Ok(()));
        assert_eq!(
            enter(1, "bob"),
            Err((
                Reason::DpopProofReplayed,
                "jti was used before with this key".into()
            ))
        );
        assert_eq!(enter(2, "alice"), Ok(()));
        let (reason, detail) = enter(3, "alice").unwrap_err();
        assert_eq!(reason, Reason::TooManyDpopProofs);
        assert!(
            detail.starts_with("at least 2 DPoP proofs of the principal are remembered already")
                && detail.ends_with("while 2 of 20 are used (limits.dpop_proofs)"),
            "{detail}"
        );
        assert_eq!(used.len(), 2);
    }
}
