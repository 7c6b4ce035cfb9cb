//! What tokens of a client are bound to: a key, by its thumbprint (RFC 7638, RFC 9449 §6.1, §10), or a certificate, by its digest
//! (RFC 8705 §3.1). Written as `cnf` (RFC 7800 §3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Bytes of a thumbprint.
const BYTES: usize = 32;

/// What a client proves to have: base64url of a SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofKey {
    /// The key that signs its DPoP proofs, by its thumbprint.
    #[serde(rename = "jkt")]
    Key(String),
    /// The key of its certificate, by the digest of the certificate's DER.
    #[serde(rename = "x5t#S256")]
    Certificate(String),
}

impl ProofKey {
    /// The key with this thumbprint.
    pub fn new(thumbprint: &[u8; BYTES]) -> Self {
        Self::Key(URL_SAFE_NO_PAD.encode(thumbprint))
    }

    /// The key of the certificate with this digest.
    pub fn of_certificate(digest: &[u8; BYTES]) -> Self {
        Self::Certificate(URL_SAFE_NO_PAD.encode(digest))
    }

    /// A thumbprint as clients send it (`dpop_jkt`); `None` if it is not base64url of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == BYTES).then(|| Self::Key(text.to_owned()))
    }

    /// The thumbprint or digest.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(text) | Self::Certificate(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_a_digest_in_base64url() {
        let key = ProofKey::new(&[0xfe; 32]);
        assert_eq!(key.as_str(), "_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v4");
        assert_eq!(ProofKey::parse(key.as_str()), Some(key.clone()));
        let long = "A".repeat(44);
        for other in [
            "",
            "AAAA",
            &key.as_str()[..42],
            &long,
            "_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v5",
        ] {
            assert_eq!(ProofKey::parse(other), None, "{other}");
        }
        let padded = format!("{}=", key.as_str());
        assert_eq!(ProofKey::parse(&padded), None);
    }

    #[test]
    fn a_key_and_a_certificate_are_two_confirmations() {
        let thumbprint = "_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v4";
        let bytes = [0xfe; 32];
        for (own, member) in [
            (ProofKey::new(&bytes), "jkt"),
            (ProofKey::of_certificate(&bytes), "x5t#S256"),
        ] {
            let written = serde_json::to_string(&own).unwrap();
            assert_eq!(written, format!(r#"{{"{member}":"{thumbprint}"}}"#));
            assert_eq!(serde_json::from_str::<ProofKey>(&written).unwrap(), own);
        }
        assert_ne!(ProofKey::new(&bytes), ProofKey::of_certificate(&bytes));
    }
}
