//! Proof key for code exchange (RFC 7636) with the method S256, the only one there is here.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::token::error::{Refused, TokenError};

/// How many characters a verifier has (RFC 7636 §4.1).
const VERIFIER_LENGTH: std::ops::RangeInclusive<usize> = 43..=128;

/// Whether the verifier belongs to the challenge. Neither is shown.
pub(super) fn judge(verifier: Option<&str>, challenge: &str) -> Result<(), Refused> {
    let verifier = verifier.ok_or(TokenError::VerifierMissing)?;
    if !VERIFIER_LENGTH.contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        return Err(Refused::of(TokenError::VerifierMalformed)
            .found(format_args!("{} bytes", verifier.len()))
            .expected("43 to 128 characters of A-Z, a-z, 0-9, '-', '.', '_' and '~'"));
    }
    let own = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    verify_slices_are_equal(own.as_bytes(), challenge.as_bytes())
        .map_err(|_| TokenError::VerifierWrong.into())
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifier_of_the_challenge_fits() {
        // RFC 7636 appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(judge(Some(verifier), challenge), Ok(()));
        let of = |verifier: Option<&str>, challenge: &str| {
            judge(verifier, challenge)
                .err()
                .map(|refused| refused.error)
        };
        let malformed = Some(TokenError::VerifierMalformed);
        let wrong = Some(TokenError::VerifierWrong);
        assert_eq!(of(None, challenge), Some(TokenError::VerifierMissing));
        for (text, expected) in [
            (String::new(), malformed),
            (verifier[..42].to_owned(), malformed),
            ("a".repeat(43), wrong),
            ("~.-_".repeat(32), wrong),
            ("a".repeat(129), malformed),
            (format!("{verifier}="), malformed),
            (format!("{verifier} "), malformed),
            (format!("{verifier}\0"), malformed),
            (verifier.replace('-', "+"), malformed),
            ("ä".repeat(30), malformed),
            (verifier.to_ascii_lowercase(), wrong),
            // The challenge itself, as with the method plain.
            (challenge.to_owned(), wrong),
        ] {
            assert_eq!(of(Some(&text), challenge), expected, "{text}");
        }
        assert_eq!(of(Some(verifier), ""), wrong);
        assert_eq!(of(Some(verifier), verifier), wrong);
        assert_eq!(of(Some(verifier), &format!("{challenge}=")), wrong);
    }

    #[test]
    fn no_refusal_shows_the_verifier() {
        let refused = judge(Some("secret"), "challenge").unwrap_err();
        assert_eq!(refused.found, "6 bytes");
        assert!(!format!("{refused:?}").contains("secret"));
    }
}
