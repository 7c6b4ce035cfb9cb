//! Nonces of the gateway for proofs (RFC 9449 §8, §9): a time that only its keys can write. So no replica remembers them, and each
//! accepts those of another one with the same keys.

use std::time::Duration;

use super::fault::ProofFault;
use crate::seal::Sealer;
use crate::time::UnixTime;

/// How far the clock of another replica may be ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// The nonces that are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Nonces<'a> {
    /// Writes and reads them.
    pub sealer: &'a Sealer,
    /// How long one is accepted.
    pub lifetime: Duration,
}

impl Nonces<'_> {
    /// The nonce of this moment.
    pub fn current(&self, now: UnixTime) -> String {
        self.sealer.stamp(now)
    }

    /// Whether a proof may have this nonce.
    pub(super) fn check(&self, nonce: Option<&str>, now: UnixTime) -> Result<(), ProofFault> {
        let nonce = nonce.ok_or(ProofFault::NoNonce)?;
        let made = self
            .sealer
            .stamped(nonce)
            .filter(|made| *made <= now.plus(AHEAD))
            .ok_or(ProofFault::ForeignNonce)?;
        match now.since(made) < self.lifetime {
            true => Ok(()),
            false => Err(ProofFault::OldNonce),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealingKey;

    fn sealer(keys: &[u8]) -> Sealer {
        let keys = keys.iter().map(|key| SealingKey::from_bytes(&[*key; 32]));
        Sealer::new(keys.map(Result::unwrap).collect()).unwrap()
    }

    #[test]
    fn a_nonce_is_accepted_by_every_replica_with_its_key_until_it_is_too_old() {
        const MADE: i64 = 1_795_257_000;
        let lifetime = Duration::from_secs(300);
        let (first, second, other) = (sealer(&[1]), sealer(&[2, 1]), sealer(&[3]));
        let of = |sealer| Nonces { sealer, lifetime };
        let nonce = of(&first).current(UnixTime::new(MADE));
        let check = |sealer, after| {
            let now = UnixTime::new(MADE + after);
            of(sealer).check(Some(&nonce), now)
        };
        for (after, expected) in [
            (-61, Err(ProofFault::ForeignNonce)),
            (-60, Ok(())),
            (0, Ok(())),
            (299, Ok(())),
            (300, Err(ProofFault::OldNonce)),
        ] {
            assert_eq!(check(&first, after), expected, "{after}");
            assert_eq!(check(&second, after), expected, "{after}");
        }
        assert_eq!(check(&other, 0), Err(ProofFault::ForeignNonce));
        let now = UnixTime::new(MADE);
        assert_eq!(of(&first).check(None, now), Err(ProofFault::NoNonce));
        let altered = [&nonce[..nonce.len() - 1], "!"].concat();
        let longer = format!("{nonce}AA");
        for foreign in ["", "a", &altered, &longer, &"A".repeat(43)] {
            let found = of(&first).check(Some(foreign), now);
            assert_eq!(found, Err(ProofFault::ForeignNonce), "{foreign:?}");
        }
    }
}
