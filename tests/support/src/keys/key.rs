//! A signing key as its issuer publishes it: a key pair with an id.

use serde_json::{Value, json};

use crate::keys::key_pair::{KeyPair, RSA};
use crate::keys::public_key::jwk_set;
use crate::keys::signature::compact;

/// A signing key of an issuer.
#[derive(Clone)]
pub struct Key {
    /// The key's id, in the key set and in token headers.
    pub id: String,
    /// The key itself.
    pub pair: KeyPair,
}

impl Key {
    /// This pair under this id.
    pub fn new(id: &str, pair: KeyPair) -> Self {
        Self {
            id: id.to_owned(),
            pair,
        }
    }

    /// A new P-256 key.
    pub fn es256(id: &str) -> Self {
        Self::new(id, KeyPair::p256())
    }

    /// A new Ed25519 key.
    pub fn eddsa(id: &str) -> Self {
        Self::new(id, KeyPair::ed25519())
    }

    /// The RSA key of this process.
    pub fn rsa(id: &str) -> Self {
        Self::new(id, RSA.clone())
    }

    /// The algorithm it is published for.
    pub fn algorithm(&self) -> &'static str {
        self.pair.algorithm()
    }

    /// The public key as a JWK, for signatures of its algorithm only.
    pub fn jwk(&self) -> Value {
        let members = json!({ "alg": self.algorithm(), "use": "sig" });
        self.pair.jwk_with(&self.id, members)
    }

    /// Signs exactly these texts, with the algorithm of the header if the key supports it, else with its own.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let algorithm = self.algorithm_in(header);
        compact(header, claims, |input| self.pair.sign(algorithm, input))
    }

    /// Looked for as text, because a header need not be JSON.
    fn algorithm_in<'a>(&self, header: &'a str) -> &'a str {
        let mut texts = header.split('"').skip(1).step_by(2);
        texts
            .find(|text| self.pair.can_sign_by(text))
            .unwrap_or_else(|| self.algorithm())
    }
}

/// A key set (RFC 7517 §5) of these keys.
pub fn key_set(keys: &[&Key]) -> Value {
    let jwks: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    jwk_set(&jwks)
}
