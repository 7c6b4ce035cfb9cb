//! A public key in its numbers, and in the backend's form for one algorithm.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::signature::{self, Verifier};

use crate::token::algorithm::Algorithm;

/// The numbers of a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Big-endian, without leading zero octets.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The public exponent.
        e: Vec<u8>,
    },
    /// Uncompressed, `04 ‖ x ‖ y`.
    Weierstrass(Vec<u8>),
    /// The encoded point.
    Edwards(Vec<u8>),
}

/// A public key as jsonwebtoken's verifier of one algorithm. jsonwebtoken's own ones have the backend compute the constants of the key again for
/// every signature.
#[derive(Clone, Debug)]
pub(super) struct PreparedVerifier {
    key: ParsedPublicKey,
    algorithm: jsonwebtoken::Algorithm,
    /// What the message is digested with before the key is asked. With the message itself, the backend copies its contexts for each
    /// signature. None for EdDSA, which signs the message.
    digested_by: Option<&'static digest::Algorithm>,
}

impl Verifier<Vec<u8>> for PreparedVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match self.digested_by {
            Some(algorithm) => {
                let digest = digest(algorithm, message);
                self.key.verify_digest_sig(&digest, signature)
            }
            None => self.key.verify_sig(message, signature),
        };
        verified.map_err(signature::Error::from_source)
    }
}

impl JwtVerifier for PreparedVerifier {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm
    }
}

impl PublicKey {
    /// The verifier of this key's signatures of this algorithm; none if it cannot be a key of that algorithm. A point of a
    /// Weierstrass curve is on its curve.
    pub(super) fn verifier(&self, algorithm: Algorithm) -> Option<PreparedVerifier> {
        Some(PreparedVerifier {
            key: self.parse(algorithm)?,
            algorithm: algorithm.backend(),
            digested_by: digest_of(algorithm),
        })
    }

    fn parse(&self, algorithm: Algorithm) -> Option<ParsedPublicKey> {
        match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(rsa_parameters(algorithm)?)
                .ok(),
            Self::Weierstrass(point) => ParsedPublicKey::new(ecdsa(algorithm)?, point).ok(),
            Self::Edwards(point) if algorithm == Algorithm::EdDsa => {
                ParsedPublicKey::new(&ED25519, point).ok()
            }
            Self::Edwards(_) => None,
        }
    }

    /// The SHA-256 thumbprint (RFC 7638).
    pub(super) fn thumbprint(&self) -> [u8; 32] {
        let digest = digest(&SHA256, self.required_members().as_bytes());
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The members that every form of the key has, in the order and form of RFC 7638 §3.2, RFC 8037 §2.
    fn required_members(&self) -> String {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa { n, e } => {
                let (n, e) = (encoded(n), encoded(e));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            Self::Weierstrass(point) => {
                let (x, y) = coordinates(point);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                let (x, y) = (encoded(x), encoded(y));
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Edwards(point) => {
                let x = encoded(point);
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
        }
    }
}

/// Both coordinates of an uncompressed point.
fn coordinates(point: &[u8]) -> (&[u8], &[u8]) {
    let both = point.get(1..).unwrap_or_default();
    both.split_at(both.len() / 2)
}

/// The digest that an algorithm signs; none where it signs the message.
const fn digest_of(algorithm: Algorithm) -> Option<&'static digest::Algorithm> {
    Some(match algorithm {
        Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &SHA256,
        Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &SHA384,
        Algorithm::Rs512 | Algorithm::Ps512 => &SHA512,
        Algorithm::EdDsa => return None,
    })
}

/// The padding and the digest of an algorithm of RSA.
const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// The curve and the digest of an algorithm of ECDSA. Signatures are two numbers of fixed length (RFC 7518 §3.4).
const fn ecdsa(algorithm: Algorithm) -> Option<&'static EcdsaVerificationAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Some(&ECDSA_P384_SHA384_FIXED),
        _ => None,
    }
}
