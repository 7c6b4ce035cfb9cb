//! An issuer for tests: keys made once a run, key sets, and tokens of any form.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::Algorithm;

/// One of each kind, and a second RSA key for whatever must be another's.
pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(rsa);
pub(crate) static OTHER_RSA: LazyLock<TestKey> = LazyLock::new(rsa);
pub(crate) static P256: LazyLock<TestKey> = LazyLock::new(|| {
    TestKey::Ec(
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        "P-256",
    )
});
pub(crate) static P384: LazyLock<TestKey> = LazyLock::new(|| {
    TestKey::Ec(
        EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
        "P-384",
    )
});
pub(crate) static ED25519: LazyLock<TestKey> =
    LazyLock::new(|| TestKey::Ed(Ed25519KeyPair::generate().unwrap()));

pub(crate) enum TestKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

fn rsa() -> TestKey {
    TestKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

impl TestKey {
    /// The key of the right kind for an algorithm.
    pub(crate) fn of(algorithm: Algorithm) -> &'static Self {
        match algorithm {
            Algorithm::Es256 => &P256,
            Algorithm::Es384 => &P384,
            Algorithm::EdDsa => &ED25519,
            _ => &RSA,
        }
    }

    /// The public part as a JWK with this id, nothing optional in it.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = components(pair.public_key());
                json!({ "kty": "RSA", "kid": kid, "n": encode(n), "e": encode(e) })
            }
            Self::Ec(pair, curve) => {
                let (_, point) = pair.public_key().as_ref().split_at(1);
                let (x, y) = point.split_at(point.len() / 2);
                json!({ "kty": "EC", "kid": kid, "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Self::Ed(pair) => {
                json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encode(pair.public_key()) })
            }
        }
    }

    /// The same with further members.
    pub(crate) fn jwk_with(&self, kid: &str, members: Value) -> Value {
        with(self.jwk(kid), members)
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    rsa_encoding(algorithm),
                    &random,
                    message.as_bytes(),
                    &mut signature,
                )
                .unwrap();
                signature
            }
            Self::Ec(pair, _) => pair
                .sign(&random, message.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Ed(pair) => pair.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }

    /// A token of these very texts.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = encode(self.sign(algorithm, &input));
        format!("{input}.{signature}")
    }
}

/// A key set of these keys.
pub(crate) fn key_set(keys: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "keys": keys })).unwrap()
}

/// An object with members added or, where null, taken away.
pub(crate) fn with(mut object: Value, members: Value) -> Value {
    let own = object.as_object_mut().unwrap();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            own.remove(name);
        } else {
            own.insert(name.clone(), value.clone());
        }
    }
    object
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &RSA_PSS_SHA256,
        Algorithm::Ps384 => &RSA_PSS_SHA384,
        Algorithm::Ps512 => &RSA_PSS_SHA512,
        other => panic!("{other} is none of RSA's"),
    }
}

/// Modulus and exponent out of an `RSAPublicKey` (RFC 8017 §A.1.1).
fn components(key: &PublicKey) -> (Vec<u8>, Vec<u8>) {
    let (sequence, _) = element(key.as_ref());
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    let unsigned = |number: &[u8]| {
        number
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect()
    };
    (unsigned(n), unsigned(e))
}

/// The content of the first DER element, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    match der {
        [_, 0x82, high, low, rest @ ..] => {
            rest.split_at(usize::from(*high) * 256 + usize::from(*low))
        }
        [_, 0x81, length, rest @ ..] | [_, length, rest @ ..] => {
            rest.split_at(usize::from(*length))
        }
        _ => panic!("no DER"),
    }
}

/// The public key as DER, for those who would sign with it.
pub(crate) fn public_der(key: &TestKey) -> Vec<u8> {
    match key {
        TestKey::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
        _ => panic!("RSA only"),
    }
}
