//! The public half of a key pair in every form: JWK, DER, PEM, bytes.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::encoding::{base64url, with_members};
use crate::keys::key_pair::{KeyPair, Kind};

impl KeyPair {
    /// A JWK with this id and nothing optional (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
    pub fn jwk(&self, kid: &str) -> Value {
        let bytes = self.public_bytes();
        match &*self.0 {
            Kind::Rsa(_) => {
                let (n, e) = rsa_numbers(&bytes);
                json!({ "kty": "RSA", "kid": kid, "n": base64url(n), "e": base64url(e) })
            }
            Kind::P256(_) => ec_jwk(kid, "P-256", &bytes),
            Kind::P384(_) => ec_jwk(kid, "P-384", &bytes),
            Kind::Ed25519(_) => {
                json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": base64url(bytes) })
            }
        }
    }

    /// The same with further members; null removes one.
    pub fn jwk_with(&self, kid: &str, members: Value) -> Value {
        with_members(self.jwk(kid), members)
    }

    /// Only the key: `RSAPublicKey` (RFC 8017 §A.1.1), an uncompressed point (SEC 1 §2.3.3), or 32 octets (RFC 8032 §5.1.5).
    pub fn public_bytes(&self) -> Vec<u8> {
        match &*self.0 {
            Kind::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Kind::P256(pair) | Kind::P384(pair) => pair.public_key().as_ref().to_vec(),
            Kind::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// `SubjectPublicKeyInfo` (RFC 5280 §4.1), DER.
    pub fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match &*self.0 {
            Kind::Rsa(pair) => pair.public_key().as_der(),
            Kind::P256(pair) | Kind::P384(pair) => pair.public_key().as_der(),
            Kind::Ed25519(pair) => pair.public_key().as_der(),
        }
        .expect("encodes");
        der.as_ref().to_vec()
    }

    /// The same as PEM, lines of 64 characters.
    pub fn public_pem(&self) -> String {
        public_key_pem(&self.public_der())
    }
}

/// A public key as PEM (RFC 7468 §13), lines of 64 characters.
pub fn public_key_pem(der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: String = base64
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned() + "\n")
        .collect();
    format!("-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n")
}

/// A key set (RFC 7517 §5) of these JWKs.
pub fn jwk_set(jwks: &[Value]) -> Value {
    json!({ "keys": jwks })
}

fn ec_jwk(kid: &str, curve: &str, point: &[u8]) -> Value {
    // An uncompressed point is 0x04, then both coordinates.
    let coordinates = &point[1..];
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    json!({ "kty": "EC", "kid": kid, "crv": curve, "x": base64url(x), "y": base64url(y) })
}

/// Modulus and exponent of an `RSAPublicKey`: a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> (&[u8], &[u8]) {
    let (sequence, _) = der_element(der);
    let (modulus, rest) = der_element(sequence);
    let (exponent, _) = der_element(rest);
    // DER puts a zero octet in front of a number whose first bit is set; a JWK has none.
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}

/// The content of the first DER element, and what follows it.
fn der_element(der: &[u8]) -> (&[u8], &[u8]) {
    match der {
        [_, 0x82, high, low, rest @ ..] => {
            rest.split_at(usize::from(*high) << 8 | usize::from(*low))
        }
        [_, 0x81, length, rest @ ..] | [_, length, rest @ ..] => {
            rest.split_at(usize::from(*length))
        }
        _ => panic!("no DER"),
    }
}
