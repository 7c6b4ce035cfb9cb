//! What a token is bound to (`cnf`, RFC 7800 §3.1): the key of a DPoP proof, or a client certificate.

use crate::json::{self, Object};
use crate::refusal::reason::Reason;
use crate::token::jose::base64url;

/// The SHA-256 by which a token names a key or a certificate.
pub type Thumbprint = [u8; 32];

/// What a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The key that signs DPoP proofs (`jkt`, RFC 9449 §6.1), by its thumbprint (RFC 7638).
    Key(Thumbprint),
    /// The client certificate of mutual TLS (`x5t#S256`, RFC 8705 §3.1), by the digest of its DER form.
    Certificate(Thumbprint),
}

impl Binding {
    /// The binding that `cnf` names. Any other confirmation, several of them, or one that cannot be read refuses the token: it is
    /// bound to something that nobody could check.
    ///
    /// # Errors
    /// [`Reason::SenderConstrained`].
    pub(crate) fn of(claims: &Object<'_>) -> Result<Option<Self>, Reason> {
        let Some(raw) = claims.get("cnf") else {
            return Ok(None);
        };
        Self::read(raw).map(Some).ok_or(Reason::SenderConstrained)
    }

    /// Checks that a token, about which its issuer was asked again, is still bound to what its sender proved to have.
    ///
    /// # Errors
    /// What its sender did not prove.
    pub fn unchanged(proved: Option<&Self>, now: Option<&Self>) -> Result<(), Reason> {
        match (proved, now) {
            (proved, now) if proved == now => Ok(()),
            (_, None) => Err(Reason::UnboundToken),
            (Some(Self::Key(_)), Some(Self::Key(_))) => Err(Reason::DpopOtherKey),
            (_, Some(Self::Key(_))) => Err(Reason::BoundTokenAsBearer),
            (Some(Self::Certificate(_)), Some(_)) => Err(Reason::OtherCertificate),
            (_, Some(_)) => Err(Reason::CertificateMissing),
        }
    }

    fn read(raw: &[u8]) -> Option<Self> {
        let confirmation = json::object(raw).ok()?;
        let mut members = confirmation.iter();
        let (name, value) = members.next()?;
        if members.next().is_some() {
            return None;
        }
        let text = json::string(value)?;
        let thumbprint = base64url(&text)?.try_into().ok()?;
        match name {
            "jkt" => Some(Self::Key(thumbprint)),
            "x5t#S256" => Some(Self::Certificate(thumbprint)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 32 bytes of 0xfe.
    const THUMBPRINT: &str = "_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v4";

    fn of(claims: &str) -> Result<Option<Binding>, Reason> {
        Binding::of(&json::object(claims.as_bytes()).unwrap())
    }

    #[test]
    fn a_token_whose_binding_changed_is_not_the_one_that_was_proved() {
        use Reason::{
            BoundTokenAsBearer, CertificateMissing, DpopOtherKey, OtherCertificate, UnboundToken,
        };
        let (key, other_key) = (Some(Binding::Key([1; 32])), Some(Binding::Key([2; 32])));
        let certificate = Some(Binding::Certificate([1; 32]));
        let other_certificate = Some(Binding::Certificate([2; 32]));
        for (proved, now, expected) in [
            (None, None, Ok(())),
            (key, key, Ok(())),
            (certificate, certificate, Ok(())),
            (key, None, Err(UnboundToken)),
            (certificate, None, Err(UnboundToken)),
            (key, other_key, Err(DpopOtherKey)),
            (None, key, Err(BoundTokenAsBearer)),
            (certificate, key, Err(BoundTokenAsBearer)),
            (certificate, other_certificate, Err(OtherCertificate)),
            (None, certificate, Err(CertificateMissing)),
            (key, certificate, Err(CertificateMissing)),
        ] {
            let found = Binding::unchanged(proved.as_ref(), now.as_ref());
            assert_eq!(found, expected, "{proved:?} {now:?}");
        }
    }

    #[test]
    fn one_confirmation_of_a_known_kind_binds() {
        let key = format!(r#"{{"cnf":{{"jkt":"{THUMBPRINT}"}}}}"#);
        assert_eq!(of(&key), Ok(Some(Binding::Key([0xfe; 32]))));
        let certificate = format!(r#"{{"cnf":{{"x5t#S256":"{THUMBPRINT}"}}}}"#);
        assert_eq!(of(&certificate), Ok(Some(Binding::Certificate([0xfe; 32]))));
        assert_eq!(of("{}"), Ok(None));
    }

    #[test]
    fn a_confirmation_that_nobody_can_check_refuses_the_token() {
        let both = format!(r#"{{"jkt":"{THUMBPRINT}","x5t#S256":"{THUMBPRINT}"}}"#);
        let short = format!(r#"{{"jkt":"{}"}}"#, &THUMBPRINT[..42]);
        let padded = format!(r#"{{"jkt":"{THUMBPRINT}="}}"#);
        let other_bits = format!(r#"{{"jkt":"{}5"}}"#, &THUMBPRINT[..42]);
        let nested = format!(r#"{{"jkt":["{THUMBPRINT}"]}}"#);
        let other = format!(r#"{{"kid":"{THUMBPRINT}"}}"#);
        let case = format!(r#"{{"JKT":"{THUMBPRINT}"}}"#);
        let hostile = [&both, &short, &padded, &other_bits, &nested, &other, &case];
        let plain = ["null", "{}", "[]", "true", "7", "\"x\"", r#"{"jkt":null}"#];
        for confirmation in hostile.into_iter().map(String::as_str).chain(plain) {
            let claims = format!(r#"{{"cnf":{confirmation}}}"#);
            assert_eq!(
                of(&claims),
                Err(Reason::SenderConstrained),
                "{confirmation}"
            );
        }
    }
}
