//! Key pairs of every kind that can sign a token.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};

/// The RSA key of this process: 2048 bits take a while to find.
pub static RSA: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);

/// A second RSA key, for keys of somebody else.
pub static OTHER_RSA: LazyLock<KeyPair> = LazyLock::new(KeyPair::rsa);

/// The P-256 key of this process.
pub static P256: LazyLock<KeyPair> = LazyLock::new(KeyPair::p256);

/// The P-384 key of this process.
pub static P384: LazyLock<KeyPair> = LazyLock::new(KeyPair::p384);

/// The Ed25519 key of this process.
pub static ED25519: LazyLock<KeyPair> = LazyLock::new(KeyPair::ed25519);

/// A private key and its public one. Clones share it.
#[derive(Clone)]
pub struct KeyPair(pub(crate) Arc<Kind>);

/// What kind of key it is, with the key.
pub(crate) enum Kind {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// A new RSA key of 2048 bits.
    pub fn rsa() -> Self {
        Kind::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")).into()
    }

    /// An existing RSA key: PKCS #8, DER.
    pub fn rsa_from_pkcs8(der: &[u8]) -> Self {
        Kind::Rsa(RsaKeyPair::from_pkcs8(der).expect("an RSA key")).into()
    }

    /// A new P-256 key.
    pub fn p256() -> Self {
        Kind::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")).into()
    }

    /// A new P-384 key.
    pub fn p384() -> Self {
        Kind::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a key")).into()
    }

    /// A new Ed25519 key.
    pub fn ed25519() -> Self {
        Kind::Ed25519(Ed25519KeyPair::generate().expect("a key")).into()
    }

    /// The Ed25519 key of this seed, the same in every run.
    pub fn ed25519_from_seed(seed: &[u8; 32]) -> Self {
        Kind::Ed25519(Ed25519KeyPair::from_seed_unchecked(seed).expect("a key")).into()
    }

    /// The process' own key for an algorithm, by its JOSE name.
    pub fn for_algorithm(algorithm: &str) -> &'static Self {
        match algorithm {
            "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => &RSA,
            "ES256" => &P256,
            "ES384" => &P384,
            "EdDSA" => &ED25519,
            other => panic!("no key for {other}"),
        }
    }

    /// The algorithm it signs with unless another one is named.
    pub fn algorithm(&self) -> &'static str {
        match &*self.0 {
            Kind::Rsa(_) => "RS256",
            Kind::P256(_) => "ES256",
            Kind::P384(_) => "ES384",
            Kind::Ed25519(_) => "EdDSA",
        }
    }
}

impl From<Kind> for KeyPair {
    fn from(kind: Kind) -> Self {
        Self(Arc::new(kind))
    }
}
