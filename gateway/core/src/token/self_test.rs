//! The self-test of the verifier, run at start. If the cryptographic backend is missing or accepts an invalid signature, the
//! process exits before the first request.

use super::algorithm::Algorithm;
use super::jose::base64url;
use super::key_set::KeySet;

/// One public key of each kind. Their private keys were deleted.
const KEYS: &[u8] = include_bytes!("self_test/keys.json");

/// One line for each algorithm: its name, and a signature over [`MESSAGE`].
const SIGNATURES: &str = include_str!("self_test/signatures.txt");

const MESSAGE: &[u8] = b"eyJhbGciOiJ0ZXN0In0.e30";

/// Why the verifier failed its self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelfTestError {
    /// The keys of the self-test cannot be loaded.
    #[error("the test keys cannot be loaded")]
    Keys,
    /// There is no test signature for this algorithm.
    #[error("there is no test signature for {0}")]
    NoVector(Algorithm),
    /// A valid signature was refused.
    #[error("the verifier refused a valid {0} signature")]
    GoodRefused(Algorithm),
    /// An invalid signature was accepted.
    #[error("the verifier accepted an invalid {0} signature")]
    BadAccepted(Algorithm),
}

/// Verifies one valid signature, one altered signature and one altered message for every algorithm.
///
/// # Errors
/// [`SelfTestError`] for the first wrong result.
pub fn self_test() -> Result<(), SelfTestError> {
    let keys = KeySet::parse(KEYS).map_err(|_| SelfTestError::Keys)?;
    Algorithm::ALL
        .into_iter()
        .try_for_each(|algorithm| try_algorithm(&keys.keys, algorithm))
}

fn try_algorithm(keys: &KeySet, algorithm: Algorithm) -> Result<(), SelfTestError> {
    let key = keys
        .find(None, algorithm, &[])
        .map_err(|_| SelfTestError::Keys)?;
    let signature = vector(algorithm).ok_or(SelfTestError::NoVector(algorithm))?;
    try_verifier(algorithm, &signature, |message, signature| {
        key.verifies(algorithm, message, signature)
    })
}

fn try_verifier(
    algorithm: Algorithm,
    signature: &Vec<u8>,
    verifies: impl Fn(&[u8], &Vec<u8>) -> bool,
) -> Result<(), SelfTestError> {
    if !verifies(MESSAGE, signature) {
        return Err(SelfTestError::GoodRefused(algorithm));
    }
    let mut altered = signature.clone();
    if let Some(byte) = altered.last_mut() {
        *byte ^= 1;
    }
    if verifies(MESSAGE, &altered) || verifies(b"another message", signature) {
        return Err(SelfTestError::BadAccepted(algorithm));
    }
    Ok(())
}

fn vector(algorithm: Algorithm) -> Option<Vec<u8>> {
    let mut lines = SIGNATURES.lines().filter_map(|line| line.split_once(' '));
    let (_, signature) = lines.find(|(name, _)| *name == algorithm.as_str())?;
    base64url(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_passes_its_self_test() {
        assert_eq!(self_test(), Ok(()));
    }

    #[test]
    fn an_algorithm_without_a_key_fails() {
        let outcome = try_algorithm(&KeySet::default(), Algorithm::EdDsa);
        assert_eq!(outcome, Err(SelfTestError::Keys));
    }

    #[test]
    fn the_altered_signature_differs_for_every_last_byte() {
        for last in [0, 1, 0xff] {
            let good = vec![7, last];
            let outcome = try_verifier(Algorithm::EdDsa, &good, |message, signature| {
                message == MESSAGE && *signature == good
            });
            assert_eq!(outcome, Ok(()), "{last}");
        }
    }

    #[test]
    fn a_verifier_with_a_wrong_result_fails_the_self_test() {
        let algorithm = Algorithm::EdDsa;
        let good = vector(algorithm).unwrap();
        let (refused, accepted) = (
            SelfTestError::GoodRefused(algorithm),
            SelfTestError::BadAccepted(algorithm),
        );
        let outcome =
            |verifies: fn(&[u8], &Vec<u8>) -> bool| try_verifier(algorithm, &good, verifies);
        assert_eq!(outcome(|_, _| false), Err(refused));
        assert_eq!(outcome(|_, _| true), Err(accepted));
        assert_eq!(outcome(|message, _| message == MESSAGE), Err(accepted));
        assert_eq!(
            outcome(|_, signature| Some(signature) == vector(Algorithm::EdDsa).as_ref()),
            Err(accepted)
        );
    }
}
