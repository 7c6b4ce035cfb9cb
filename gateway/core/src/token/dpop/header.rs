//! The header of a proof (RFC 9449 §4.2): its type, its algorithm and the public key that signed it. No other key counts.

use super::fault::ProofFault;
use crate::json::{self, Object};
use crate::token::algorithm::Algorithm;
use crate::token::jose::{IGNORABLE, MEANING, json_part, media_type};
use crate::token::key_set::Key;

/// The type of every proof.
pub(crate) const PROOF_TYPE: &str = "dpop+jwt";

/// The algorithms of proofs, as they are announced (RFC 9449 §5.1, RFC 9728 §2).
pub const PROOF_ALGORITHMS: [&str; 10] = [
    "ES256", "ES384", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512",
];

/// The parameter with the key.
const KEY: &str = "jwk";

/// What verifies a proof.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key: Key,
}

impl Header {
    pub(super) fn read(encoded: &str) -> Result<Self, ProofFault> {
        let bytes = json_part(encoded).map_err(|_| ProofFault::Form)?;
        let header = json::object(&bytes).map_err(|_| ProofFault::Form)?;
        let found = text(&header, "typ")?;
        if media_type(&found) != PROOF_TYPE {
            return Err(ProofFault::Type(found));
        }
        let name = text(&header, "alg")?;
        let algorithm = Algorithm::parse(&name).ok_or(ProofFault::Algorithm(name))?;
        refuse_parameters(&header)?;
        let raw = header.get(KEY).ok_or(ProofFault::Member(KEY))?;
        let key = Key::read(raw).map_err(ProofFault::Key)?;
        if !key.serves(algorithm) {
            return Err(ProofFault::KeyAlgorithm(algorithm));
        }
        Ok(Self { algorithm, key })
    }
}

/// Refuses every parameter that changes what the proof means, and every other one that has a key or points to one.
fn refuse_parameters(header: &Object<'_>) -> Result<(), ProofFault> {
    let others = IGNORABLE.into_iter().filter(|name| *name != KEY);
    let mut refused = MEANING.into_iter().chain(["cty"]).chain(others);
    match refused.find(|name| header.get(name).is_some()) {
        Some(name) => Err(ProofFault::Parameter(name)),
        None => Ok(()),
    }
}

fn text(header: &Object<'_>, name: &'static str) -> Result<String, ProofFault> {
    let text = header.get(name).and_then(json::string);
    let text = text.ok_or(ProofFault::Member(name))?;
    Ok(text.into_owned())
}
