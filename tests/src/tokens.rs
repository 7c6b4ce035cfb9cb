//! Keys, key sets and tokens, with every byte of header and claims in the test's hands.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::now;

/// A signing key of an issuer.
#[derive(Clone)]
pub struct Key {
    /// The key's id, in the key set and in token headers.
    pub id: String,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rsa(Arc<RsaKeyPair>),
    Es256(Arc<EcdsaKeyPair>),
    EdDsa(Arc<Ed25519KeyPair>),
}

impl Key {
    /// A new P-256 key.
    pub fn es256(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self {
            id: id.to_owned(),
            pair: Pair::Es256(Arc::new(pair)),
        }
    }

    /// A new Ed25519 key.
    pub fn eddsa(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: Pair::EdDsa(Arc::new(Ed25519KeyPair::generate().expect("a key"))),
        }
    }

    /// The RSA key of this process: 2048 bits take a while to find.
    pub fn rsa(id: &str) -> Self {
        static PAIR: OnceLock<Arc<RsaKeyPair>> = OnceLock::new();
        let pair =
            PAIR.get_or_init(|| Arc::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")));
        Self {
            id: id.to_owned(),
            pair: Pair::Rsa(Arc::clone(pair)),
        }
    }

    /// The algorithm it signs with, unless told otherwise.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Es256(_) => "ES256",
            Pair::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key as a JWK.
    pub fn jwk(&self) -> Value {
        let mut jwk = self.public();
        jwk["kid"] = json!(self.id);
        jwk["alg"] = json!(self.algorithm());
        jwk["use"] = json!("sig");
        jwk
    }

    fn public(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let (modulus, exponent) = rsa_numbers(pair.public_key().as_ref());
                json!({ "kty": "RSA", "n": base64(modulus), "e": base64(exponent) })
            }
            Pair::Es256(pair) => {
                // SEC 1 §2.3.3: 0x04, then both coordinates.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y) })
            }
            Pair::EdDsa(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref()) })
            }
        }
    }

    /// The public key as DER, for attacks that use it as a secret.
    pub fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair
                .public_key()
                .as_der()
                .expect("encodes")
                .as_ref()
                .to_vec(),
            Pair::Es256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// Signs these exact texts: base64url(header) `.` base64url(claims) `.` signature.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", base64(header), base64(claims));
        let signature = self.signature(input.as_bytes(), header.contains("\"PS256\""));
        format!("{input}.{}", base64(signature))
    }

    fn signature(&self, input: &[u8], pss: bool) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let scheme = if pss {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                pair.sign(scheme, &random, input, &mut signature)
                    .expect("signs");
                signature
            }
            Pair::Es256(pair) => pair.sign(&random, input).expect("signs").as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(input).as_ref().to_vec(),
        }
    }
}

/// A key set (RFC 7517 §5) of these keys.
pub fn key_set(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// Unpadded base64url.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token to be: an access token that is right in every respect until a test changes something.
#[derive(Clone)]
pub struct Token {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Token {
    /// An RFC 9068 access token of `issuer` for `audience`, good for ten minutes.
    pub fn new(key: &Key, issuer: &str, audience: &str) -> Self {
        let header = json!({ "alg": key.algorithm(), "typ": "at+jwt", "kid": key.id });
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": "alice", "client_id": "inspector",
            "scope": "tasks:read", "iat": now(), "exp": now() + 600, "jti": unique(),
        });
        Self {
            key: key.clone(),
            header: object(header),
            claims: object(claims),
        }
    }

    /// Sets a claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a claim out.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a header parameter.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Leaves a header parameter out.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets the scopes.
    pub fn scope(self, scope: &str) -> Self {
        self.claim("scope", scope)
    }

    /// Sets the subject.
    pub fn subject(self, subject: &str) -> Self {
        self.claim("sub", subject)
    }

    /// Signs with another key, under the same key id.
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    /// The header as JSON text.
    pub fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    /// The claims as JSON text.
    pub fn claims_text(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The compact form.
    pub fn sign(&self) -> String {
        self.key.sign(&self.header_text(), &self.claims_text())
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn unique() -> String {
    let mut bytes = [0; 12];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    base64(bytes)
}

/// Modulus and exponent of a DER `RSAPublicKey` (RFC 8017 §A.1.1): a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = der_value(der);
    let (modulus, rest) = der_value(sequence);
    let (exponent, _) = der_value(rest);
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}

/// The content of the first DER element, and what follows it.
fn der_value(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        0x81 => (usize::from(der[2]), 3),
        0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), 4),
        short => (usize::from(short), 2),
    };
    der[start..].split_at(length)
}
