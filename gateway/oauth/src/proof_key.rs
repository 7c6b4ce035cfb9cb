//! The key of a client that tokens are bound to, by its thumbprint (RFC 7638, RFC 9449 §6.1, §10).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Bytes of a thumbprint.
const BYTES: usize = 32;

/// The thumbprint of a key: base64url of a SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProofKey(String);

impl ProofKey {
    /// The key with this thumbprint.
    pub fn new(thumbprint: &[u8; BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(thumbprint))
    }

    /// A thumbprint as clients send it (`dpop_jkt`); `None` if it is not base64url of 32 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == BYTES).then(|| Self(text.to_owned()))
    }

    /// The thumbprint.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a token is bound to (`cnf`, RFC 7800 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The key that signs DPoP proofs.
    pub jkt: ProofKey,
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
        let written = serde_json::to_string(&Confirmation { jkt: key }).unwrap();
        assert_eq!(
            written,
            r#"{"jkt":"_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v4"}"#
        );
    }
}
