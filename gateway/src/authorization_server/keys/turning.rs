//! Makes keys that sign access tokens, and does what is due for a ring of them.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use mcp_gateway_core::time::UnixTime;
use mcp_gateway_oauth::keys::{
    ring::{Due, Ring, Schedule},
    signing_key::{SigningAlgorithm, SigningKey},
};

use super::private_file::KeyFileProblem;

/// The ring when what is due has been done.
///
/// # Errors
/// There is no new key.
pub(super) fn turned(
    ring: &Ring,
    due: &Due,
    schedule: &Schedule,
    now: UnixTime,
) -> Result<Ring, KeyFileProblem> {
    let retired = ring.retire(schedule, now);
    let turned = match due.new_key {
        Some(algorithm) => {
            let key = new_key(algorithm)?;
            let (kid, alg) = (key.id(), algorithm.name());
            tracing::info!(kid, alg, "new signing key published");
            retired.add(key, schedule, now)
        }
        None => retired,
    };
    for kid in &due.retired {
        tracing::info!(kid, "signing key retired");
    }
    Ok(turned)
}

/// A key from the random source of the system.
pub(super) fn new_key(algorithm: SigningAlgorithm) -> Result<SigningKey, KeyFileProblem> {
    let pkcs8 = pkcs8(algorithm).ok_or(KeyFileProblem::Random)?;
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
