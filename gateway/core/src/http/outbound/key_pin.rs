//! The public key of a server as an operator names it: `sha256/` and the base64 of the SHA-256 of its SubjectPublicKeyInfo (RFC 7469 §2.4, without
//! quotation marks; curl's `--pinnedpubkey` in this form).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use thiserror::Error;

/// What a pin begins with.
const PREFIX: &str = "sha256/";

/// A public key, by its digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPin([u8; 32]);

/// It is not a pin.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be sha256/ and the base64 of a SHA-256, 44 characters")]
pub struct NotAPin;

impl KeyPin {
    /// The pin of a key with this SHA-256.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads a pin.
    ///
    /// # Errors
    /// [`NotAPin`].
    pub fn parse(text: &str) -> Result<Self, NotAPin> {
        let encoded = text.strip_prefix(PREFIX).ok_or(NotAPin)?;
        let digest = BASE64_STANDARD.decode(encoded).map_err(|_| NotAPin)?;
        digest.try_into().map(Self).map_err(|_| NotAPin)
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_printed_as_it_is_read() {
        let text = "sha256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=";
        let pin = KeyPin::parse(text).unwrap();
        assert_eq!(pin.to_string(), text);
        assert_eq!(
            KeyPin::parse(&KeyPin::new([7; 32]).to_string()),
            Ok(KeyPin::new([7; 32]))
        );
    }

    #[test]
    fn anything_else_is_no_pin() {
        for text in [
            "",
            "sha256/",
            "r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=",
            "sha1/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=",
            "SHA256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=",
            "sha256//r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E=",
            "sha256/r_mIkG3eEpVdm-u_ko_cwxzOMo1bk4TyHIlByibiA5E=",
            "sha256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E",
            "sha256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5F=",
            "sha256/AAAA",
            "sha256/r/mIkG3eEpVdm+u/ko/cwxzOMo1bk4TyHIlByibiA5E= ",
        ] {
            assert_eq!(KeyPin::parse(text), Err(NotAPin), "{text}");
        }
    }
}
