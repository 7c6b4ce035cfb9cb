//! The algorithms that a key serves, and its verifier for each of them.
//!
//! The backend computes constants of a key before it can verify with it. They are computed once for each algorithm and stored with the verifier; the
//! tests compare every verdict with that of jsonwebtoken's own verifiers, which have them computed again for every signature.

use std::sync::OnceLock;

use jsonwebtoken::signature::Verifier as _;

use super::public_key::{PreparedVerifier, PublicKey};
use crate::token::algorithm::Algorithm;

/// The algorithms that one key serves.
#[derive(Clone, Debug)]
pub(super) struct Served(Vec<One>);

#[derive(Clone, Debug)]
struct One {
    algorithm: Algorithm,
    /// The key for this algorithm. None inside if it cannot be one.
    verifier: OnceLock<Option<PreparedVerifier>>,
}

impl Served {
    /// A key that serves these algorithms; none if it cannot be a key of the first one. It is parsed for the others when they are used:
    /// a key set may have many RSA keys without `alg`, each for six algorithms of which one is used.
    pub(super) fn new(algorithms: &[Algorithm], key: &PublicKey) -> Option<Self> {
        let all: Vec<_> = algorithms.iter().copied().map(One::new).collect();
        all.first()?.verifier(key)?;
        Some(Self(all))
    }

    /// The algorithms.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.0.iter().map(|one| one.algorithm)
    }

    /// Whether `key`, for which this was made, serves the algorithm and verifies `signature` over `message`.
    pub(super) fn verifies(
        &self,
        key: &PublicKey,
        algorithm: Algorithm,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> bool {
        let one = self.0.iter().find(|one| one.algorithm == algorithm);
        one.and_then(|one| one.verifier(key))
            .is_some_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

impl One {
    const fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            verifier: OnceLock::new(),
        }
    }

    fn verifier(&self, key: &PublicKey) -> Option<&PreparedVerifier> {
        let make = || key.verifier(self.algorithm);
        self.verifier.get_or_init(make).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::DecodingKey;
    use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
    use test_support::{ED25519, KeyPair, OTHER_RSA, P256, P384, RSA, base64url_decode};

    use super::*;

    const MESSAGE: &[u8] = b"eyJhbGciOiJ0ZXN0In0.e30";

    fn public(pair: &KeyPair) -> PublicKey {
        let jwk = pair.jwk("k");
        let octets = |name: &str| base64url_decode(jwk[name].as_str().unwrap());
        match jwk["kty"].as_str().unwrap() {
            "RSA" => PublicKey::Rsa {
                n: octets("n"),
                e: octets("e"),
            },
            "EC" => PublicKey::Weierstrass([vec![4], octets("x"), octets("y")].concat()),
            _ => PublicKey::Edwards(octets("x")),
        }
    }

    /// The algorithms that a key of this kind signs by.
    fn signed_by(pair: &KeyPair) -> Vec<Algorithm> {
        match pair.algorithm() {
            "RS256" => Algorithm::ALL[..6].to_vec(),
            name => vec![Algorithm::parse(name).unwrap()],
        }
    }

    /// Whether jsonwebtoken accepts the signature.
    fn jsonwebtoken_accepts(
        key: &DecodingKey,
        algorithm: Algorithm,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> bool {
        let algorithm = algorithm.as_str().parse().unwrap();
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, key);
        verifier.is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }

    /// This signature first, then others that are nearly it.
    fn variants(good: &[u8]) -> Vec<Vec<u8>> {
        let changed = |at: usize| {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        let half = good.len() / 2;
        vec![
            good.to_vec(),
            changed(0),
            changed(half),
            changed(good.len() - 1),
            good[1..].to_vec(),
            good[..good.len() - 1].to_vec(),
            [&[0], good].concat(),
            [good, &[0]].concat(),
            [&good[half..], &good[..half]].concat(),
            vec![0; good.len()],
            vec![0xff; good.len()],
            Vec::new(),
        ]
    }

    #[test]
    fn every_verdict_is_that_of_jsonwebtoken() {
        for pair in [&RSA, &OTHER_RSA, &P256, &P384, &ED25519] {
            let (key, algorithms) = (public(pair), signed_by(pair));
            let served = Served::new(&algorithms, &key).unwrap();
            let jwk = serde_json::from_value(pair.jwk("k")).unwrap();
            let theirs = DecodingKey::from_jwk(&jwk).unwrap();
            for signed in algorithms {
                let good = pair.sign(signed.as_str(), MESSAGE);
                for (judged, signature) in Algorithm::ALL
                    .into_iter()
                    .flat_map(|judged| variants(&good).into_iter().map(move |one| (judged, one)))
                {
                    for message in [MESSAGE, &MESSAGE[1..]] {
                        let found = served.verifies(&key, judged, message, &signature);
                        let expected = judged == signed && signature == good && message == MESSAGE;
                        assert_eq!(found, expected, "{signed} {judged} {signature:?}");
                        let theirs = jsonwebtoken_accepts(&theirs, judged, message, &signature);
                        assert_eq!(found, theirs, "{signed} {judged} {signature:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_serves_only_what_it_was_made_for() {
        let served = Served::new(&[Algorithm::Ps256], &public(&RSA)).unwrap();
        assert!(served.algorithms().eq([Algorithm::Ps256]));
        for (algorithm, expected) in [(Algorithm::Ps256, true), (Algorithm::Rs256, false)] {
            let signature = RSA.sign(algorithm.as_str(), MESSAGE);
            let found = served.verifies(&public(&RSA), algorithm, MESSAGE, &signature);
            assert_eq!(found, expected, "{algorithm}");
        }
        // A point of another curve is no key.
        assert!(Served::new(&[Algorithm::Es384], &public(&P256)).is_none());
        assert!(Served::new(&[Algorithm::Es256], &public(&ED25519)).is_none());
        assert!(Served::new(&[], &public(&RSA)).is_none());
    }
}
