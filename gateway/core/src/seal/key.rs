//! Sealing keys: how they are read from files and generated, and their ids.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::form::{FORM, HEAD, KEY_ID, Parts};

/// Bytes of a key.
const KEY: usize = 32;

/// Bytes of what proves that a key wrote a time.
const STAMP_TAG: usize = 16;

/// A key for sealing. `Debug` does not show it.
pub struct SealingKey {
    pub(crate) key: LessSafeKey,
    id: [u8; KEY_ID],
    nonces: hmac::Key,
    stamps: hmac::Key,
}

/// Why there is no [`SealingKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealingKeyError {
    /// Not 256 bits in one of the accepted forms.
    #[error(
        "expected a key of 32 bytes: raw, as 64 hexadecimal digits, or as 44 characters of base64"
    )]
    Form,
    /// The random source of the operating system failed.
    #[error("the random source of the operating system failed")]
    Random,
}

impl SealingKey {
    /// From the content of a key file: 32 bytes, or 64 hexadecimal digits, or 44 characters of base64. The latter two may end
    /// with a line break.
    ///
    /// # Errors
    /// [`SealingKeyError::Form`].
    pub fn from_bytes(content: &[u8]) -> Result<Self, SealingKeyError> {
        Self::from_secret(&key_bytes(content)?)
    }

    /// Generates a key from the random source of the operating system.
    ///
    /// # Errors
    /// [`SealingKeyError::Random`] if the source fails.
    pub fn random() -> Result<Self, SealingKeyError> {
        let mut secret = [0; KEY];
        rand::fill(&mut secret).map_err(|_| SealingKeyError::Random)?;
        Self::from_secret(&secret)
    }

    fn from_secret(secret: &[u8]) -> Result<Self, SealingKeyError> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, secret).map_err(|_| SealingKeyError::Form)?;
        let named = digest(&SHA256, &[b"mcp-gateway session key id 1", secret].concat());
        let id = named.as_ref().first_chunk().copied().unwrap_or_default();
        let nonces = digest(&SHA256, &[b"mcp-gateway nonce key 1", secret].concat());
        let stamps = digest(&SHA256, &[b"mcp-gateway stamp key 1", secret].concat());
        Ok(Self {
            key: LessSafeKey::new(key),
            id,
            nonces: hmac::Key::new(hmac::HMAC_SHA256, nonces.as_ref()),
            stamps: hmac::Key::new(hmac::HMAC_SHA256, stamps.as_ref()),
        })
    }

    /// The first bytes of a sealed value: the version of the form, and the id of the key.
    pub(crate) fn head(&self) -> [u8; HEAD] {
        let [a, b, c, d] = self.id;
        [FORM, a, b, c, d]
    }

    /// A nonce derived from a text: the same for the same text, unpredictable for another one.
    pub(crate) fn nonce_of(&self, text: &[u8]) -> [u8; NONCE_LEN] {
        let tag = hmac::sign(&self.nonces, text);
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// What proves that this key wrote a time.
    pub(crate) fn stamp_tag(&self, time: &[u8]) -> [u8; STAMP_TAG] {
        let tag = hmac::sign(&self.stamps, time);
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    pub(crate) fn open(&self, mut parts: Parts) -> Option<Vec<u8>> {
        let nonce = Nonce::assume_unique_for_key(parts.nonce);
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(parts.head), &mut parts.sealed)
            .ok()?;
        Some(opened.to_vec())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

/// The bytes of a key, as a key file has them ([`SealingKey::from_bytes`]).
///
/// # Errors
/// [`SealingKeyError::Form`].
pub fn key_bytes(content: &[u8]) -> Result<[u8; KEY], SealingKeyError> {
    let line = content.strip_suffix(b"\n").unwrap_or(content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let secret = match (content.len(), line.len()) {
        (KEY, _) => Some(content.to_vec()),
        (_, 64) => hexadecimal(line),
        (_, 44) => STANDARD.decode(line).ok(),
        _ => None,
    };
    let secret = secret.and_then(|secret| secret.try_into().ok());
    secret.ok_or(SealingKeyError::Form)
}

fn hexadecimal(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: &u8| {
        char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Sealer;

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_key_comes_in_three_forms() {
        let hexadecimal = "07".repeat(32);
        let base64 = STANDARD.encode([7; 32]);
        let expected = key(7).head();
        for content in [
            hexadecimal.clone(),
            format!("{hexadecimal}\n"),
            format!("{hexadecimal}\r\n"),
            base64.clone(),
            format!("{base64}\n"),
        ] {
            assert_eq!(
                SealingKey::from_bytes(content.as_bytes()).unwrap().head(),
                expected,
                "{content:?}"
            );
        }
        let upper = "AB".repeat(32);
        assert_eq!(
            SealingKey::from_bytes(upper.as_bytes()).unwrap().head(),
            key(0xab).head()
        );
        // Raw bytes are used unchanged, even if one is a line break.
        let mut raw = [7; 32];
        raw[31] = b'\n';
        assert!(SealingKey::from_bytes(&raw).is_ok());
    }

    #[test]
    fn another_form_is_refused() {
        let cases: &[Vec<u8>] = &[
            vec![],
            vec![7; 31],
            vec![7; 33],
            vec![7; 64],
            vec![b'\n'; 33],
            "g7".repeat(32).into_bytes(),
            "+7".repeat(32).into_bytes(),
            format!("{}\n\n", "07".repeat(32)).into_bytes(),
            format!(" {}", "07".repeat(32)).into_bytes(),
            STANDARD.encode([7; 33]).into_bytes(),
            vec![b'_'; 44],
        ];
        for content in cases {
            assert_eq!(
                SealingKey::from_bytes(content).err(),
                Some(SealingKeyError::Form),
                "{content:?}"
            );
        }
    }

    #[test]
    fn debug_does_not_show_a_key() {
        assert_eq!(format!("{:?}", key(7)), "SealingKey(…)");
        let sealer = Sealer::new(vec![key(7), key(8)]).unwrap();
        assert!(!format!("{sealer:?}").contains("7, 7"));
    }
}
