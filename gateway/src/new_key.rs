//! A new private key from the random source of the system, for whatever signs with keys of the gateway's own.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use mcp_gateway_oauth::keys::signing_key::{SigningAlgorithm, SigningKey, SigningKeyError};
use thiserror::Error;

/// Why there is no new key.
#[derive(Debug, Error)]
pub(crate) enum NewKeyError {
    #[error("the random source of the system fails")]
    Random,
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

/// A new key for this algorithm.
///
/// # Errors
/// [`NewKeyError`].
pub(crate) fn new_key(algorithm: SigningAlgorithm) -> Result<SigningKey, NewKeyError> {
    let pkcs8 = pkcs8(algorithm).ok_or(NewKeyError::Random)?;
    Ok(SigningKey::new(algorithm, &pkcs8)?)
}

/// The private key as PKCS #8.
fn pkcs8(algorithm: SigningAlgorithm) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let document = match algorithm {
        SigningAlgorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).ok()?
        }
        SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).ok()?,
        SigningAlgorithm::Rs256 => {
            let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).ok()?;
            return Some(key.as_der().ok()?.as_ref().to_vec());
        }
    };
    Some(document.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_new_and_signs_with_its_algorithm() {
        for algorithm in [
            SigningAlgorithm::Es256,
            SigningAlgorithm::Rs256,
            SigningAlgorithm::EdDsa,
        ] {
            let (one, other) = (new_key(algorithm).unwrap(), new_key(algorithm).unwrap());
            assert_eq!(one.algorithm(), algorithm);
            assert_ne!(one.id(), other.id());
            let signed = one.sign(b"{}").unwrap();
            assert!(one.open(signed.expose()).is_some() && other.open(signed.expose()).is_none());
        }
    }
}
