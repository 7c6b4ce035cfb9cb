//! Verifies a proof (RFC 9449 §4.3).

use aws_lc_rs::digest::{Context, SHA256};

use super::claims::Claims;
use super::expected::Expected;
use super::fault::ProofFault;
use super::header::Header;
use crate::seal::digest::{finish, hash_part};
use crate::time::UnixTime;
use crate::token::jose::base64url;

/// The digest of a proof's key and `jti`.
pub type ProofId = [u8; 16];

/// A proof that was verified, and that nobody has used yet as far as is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The thumbprint of the key that signed it (RFC 7638).
    pub key: [u8; 32],
    /// What identifies it among all proofs.
    pub id: ProofId,
    /// When the client made it (`iat`).
    pub issued_at: UnixTime,
}

/// A proof with everything that is expected but its signature, which was not verified yet.
pub struct Unsigned<'a> {
    header: Header,
    message: &'a str,
    signature: Vec<u8>,
    proof: Proof,
}

impl Proof {
    /// Verifies a proof: the text in the `DPoP` header (RFC 9449 §4.3).
    ///
    /// # Errors
    /// [`ProofFault`].
    pub fn verify(text: &str, expected: &Expected<'_>) -> Result<Self, ProofFault> {
        Unsigned::read(text, expected)?.verify()
    }
}

impl<'a> Unsigned<'a> {
    /// Reads a proof, and checks all that costs little.
    ///
    /// # Errors
    /// Any [`ProofFault`] but [`ProofFault::Signature`].
    pub fn read(text: &'a str, expected: &Expected<'_>) -> Result<Self, ProofFault> {
        let (signing_input, signature) = text.rsplit_once('.').ok_or(ProofFault::Form)?;
        let (header, payload) = signing_input.split_once('.').ok_or(ProofFault::Form)?;
        if payload.contains('.') {
            return Err(ProofFault::Form);
        }
        let header = Header::read(header)?;
        let claims = Claims::read(payload)?;
        claims.check(expected)?;
        let key = header.key.thumbprint();
        if expected.key.is_some_and(|own| *own != key) {
            return Err(ProofFault::OtherKey);
        }
        let signature = base64url(signature).ok_or(ProofFault::Form)?;
        Ok(Self {
            header,
            message: signing_input,
            signature,
            proof: Proof {
                id: id(&key, &claims.id),
                key,
                issued_at: claims.issued_at,
            },
        })
    }

    /// Verifies its signature.
    ///
    /// # Errors
    /// [`ProofFault::Signature`].
    pub fn verify(self) -> Result<Proof, ProofFault> {
        let Header { algorithm, key } = self.header;
        match key.verifies(algorithm, self.message.as_bytes(), &self.signature) {
            true => Ok(self.proof),
            false => Err(ProofFault::Signature),
        }
    }
}

/// Digest of the key too: a client can choose the same `jti` as another one.
fn id(key: &[u8; 32], jti: &str) -> ProofId {
    let mut context = Context::new(&SHA256);
    context.update(b"mcp-gateway dpop proof id 1");
    hash_part(&mut context, key);
    hash_part(&mut context, jti.as_bytes());
    finish(context).first_chunk().copied().unwrap_or_default()
}
