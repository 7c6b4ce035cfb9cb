//! Signatures of any bytes, and compact tokens of any texts.

use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};

use crate::encoding::base64url;
use crate::keys::key_pair::{KeyPair, Kind};

impl KeyPair {
    /// A signature by the algorithm of this JOSE name. An RSA key has six of them; every other kind of key has one, which
    /// it uses for any name.
    pub fn sign(&self, algorithm: &str, message: impl AsRef<[u8]>) -> Vec<u8> {
        let message = message.as_ref();
        match &*self.0 {
            Kind::Rsa(pair) => {
                let encoding = rsa_encoding(algorithm);
                let encoding = encoding.unwrap_or_else(|| panic!("RSA has no {algorithm}"));
                rsa_signature(pair, encoding, message)
            }
            Kind::P256(pair) | Kind::P384(pair) => ecdsa_signature(pair, message),
            Kind::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// An ECDSA signature as X.509 writes it (RFC 5480 §A), where JWS needs both numbers in sequence (RFC 7518 §3.4).
    pub fn sign_asn1(&self, message: impl AsRef<[u8]>) -> Vec<u8> {
        let (pair, algorithm): (_, &EcdsaSigningAlgorithm) = match &*self.0 {
            Kind::P256(pair) => (pair, &ECDSA_P256_SHA256_ASN1_SIGNING),
            Kind::P384(pair) => (pair, &ECDSA_P384_SHA384_ASN1_SIGNING),
            Kind::Rsa(_) | Kind::Ed25519(_) => panic!("no ECDSA key"),
        };
        let private = pair.to_pkcs8v1().expect("encodes");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref()).expect("a key");
        ecdsa_signature(&pair, message.as_ref())
    }

    /// A token of exactly these texts, signed by the algorithm of this JOSE name.
    pub fn token(&self, algorithm: &str, header: &str, claims: &str) -> String {
        compact(header, claims, |input| self.sign(algorithm, input))
    }

    /// Whether it can sign by the algorithm of this JOSE name.
    pub(crate) fn can_sign_by(&self, algorithm: &str) -> bool {
        match &*self.0 {
            Kind::Rsa(_) => rsa_encoding(algorithm).is_some(),
            _ => algorithm == self.algorithm(),
        }
    }
}

/// The compact form (RFC 7515 §7.1) of exactly these texts, with the signature that `sign` makes of the first two parts.
pub fn compact(
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
    sign: impl FnOnce(&str) -> Vec<u8>,
) -> String {
    let input = format!("{}.{}", base64url(header), base64url(claims));
    let signature = base64url(sign(&input));
    format!("{input}.{signature}")
}

/// The tag of `HS256`, `HS384` or `HS512`: what an attacker makes with a public key as the secret.
pub fn hmac(algorithm: &str, secret: &[u8], message: impl AsRef<[u8]>) -> Vec<u8> {
    let algorithm = match algorithm {
        "HS256" => HMAC_SHA256,
        "HS384" => HMAC_SHA384,
        "HS512" => HMAC_SHA512,
        other => panic!("HMAC has no {other}"),
    };
    aws_lc_rs::hmac::sign(&Key::new(algorithm, secret), message.as_ref())
        .as_ref()
        .to_vec()
}

fn rsa_encoding(algorithm: &str) -> Option<&'static dyn RsaEncoding> {
    Some(match algorithm {
        "RS256" => &RSA_PKCS1_SHA256,
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        _ => return None,
    })
}

fn rsa_signature(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .expect("signs");
    signature
}

fn ecdsa_signature(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), message)
        .expect("signs")
        .as_ref()
        .to_vec()
}
