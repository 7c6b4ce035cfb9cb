//! The form of a sealed value, and its parts.

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::digest::SHA256_OUTPUT_LEN;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::endpoint_id::EndpointId;

/// Version of the sealed form.
pub(crate) const FORM: u8 = 2;
/// Bytes of a key's id.
pub(crate) const KEY_ID: usize = 4;
/// Bytes of version and key id.
pub(crate) const HEAD: usize = 1 + KEY_ID;
/// Bytes of the AEAD's tag.
pub(crate) const TAG: usize = 16;

/// Digits of the time in front of a request state.
pub(crate) const TIME: usize = 16;

/// A sealed value, split into its parts.
pub(crate) struct Parts {
    pub(crate) head: [u8; HEAD],
    pub(crate) nonce: [u8; NONCE_LEN],
    pub(crate) sealed: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(sealed: &str, longest: usize) -> Option<Self> {
        if sealed.len() > longest {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (head, rest) = bytes.split_first_chunk()?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        Some(Self {
            head: *head,
            nonce: *nonce,
            sealed: sealed.to_vec(),
        })
    }

    /// Replaces a value that cannot be split, so that opening it takes the same time.
    pub(crate) fn dummy() -> Self {
        Self {
            head: [0; HEAD],
            nonce: [0; NONCE_LEN],
            sealed: vec![0; SHA256_OUTPUT_LEN + EndpointId::LENGTH + 36 + TAG],
        }
    }
}
