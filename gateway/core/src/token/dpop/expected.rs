//! What a proof must be for, and how old it may be.

use std::time::Duration;

use super::nonce::Nonces;
use crate::time::UnixTime;

/// How long before and after its `iat` a proof is accepted.
pub const PROOF_AGE: Duration = Duration::from_secs(300);

/// What a proof must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URI of the request as the configuration has it, without query and fragment.
    pub uri: &'a str,
    /// SHA-256 of the access token, where one is presented with the proof (`ath`).
    pub token: Option<&'a [u8; 32]>,
    /// The thumbprint of the key that must have signed, where that is known (RFC 7638).
    pub key: Option<&'a [u8; 32]>,
    /// The nonces that are accepted; none where a proof needs no nonce.
    pub nonces: Option<Nonces<'a>>,
    /// The present time.
    pub now: UnixTime,
}
