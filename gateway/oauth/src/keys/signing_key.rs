//! A key that signs access tokens. The rim makes its private key and stores it; here it is read, signs (RFC 7515), verifies what it
//! signed, and shows its public part (RFC 7517).
//!
//! ECDSA needs a random number for each signature. The library draws it: a number from outside would be a way to lose the key.

use std::fmt;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::secret::Secret;

/// The `typ` of an access token (RFC 9068 §2.1).
const TOKEN_TYPE: &str = "at+jwt";

/// The algorithms that the server can sign with (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA over P-256 with SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// EdDSA over Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl SigningAlgorithm {
    /// Its registered name (`alg`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Why a key cannot be used, or did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// It is not a private key of its algorithm.
    #[error("not a private key for {}: PKCS #8 in DER is expected", .0.name())]
    NotAKey(SigningAlgorithm),
    /// The library did not sign.
    #[error("signing with {} failed", .0.name())]
    Signing(SigningAlgorithm),
}

/// A key that signs access tokens. `Debug` shows its id only.
pub struct SigningKey {
    algorithm: SigningAlgorithm,
    pair: Pair,
    public: ParsedPublicKey,
    id: String,
    jwk: Value,
    header: String,
    private: Secret,
}

enum Pair {
    P256(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// From a private key: PKCS #8 (RFC 5958), DER. RSA has at least 2048 bits.
    ///
    /// # Errors
    /// [`SigningKeyError::NotAKey`].
    pub fn new(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        Self::read(algorithm, pkcs8).ok_or(SigningKeyError::NotAKey(algorithm))
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Its id (`kid`): the thumbprint of its public key (RFC 7638), base64url of SHA-256.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its public key as a JWK (RFC 7517 §4), with `kid`, `alg` and `use`.
    pub const fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Its private key: base64 of PKCS #8, for the file that it lives in.
    pub const fn private(&self) -> &Secret {
        &self.private
    }

    /// An access token of these claims: a JWS in its compact form (RFC 7515 §7.1).
    ///
    /// # Errors
    /// [`SigningKeyError::Signing`].
    pub fn sign(&self, claims: &[u8]) -> Result<Secret, SigningKeyError> {
        self.sign_encoded(&self.header, claims)
    }

    /// A token of these claims with this header, which must name the key's algorithm.
    ///
    /// # Errors
    /// [`SigningKeyError::Signing`].
    pub fn sign_with(&self, header: &Value, claims: &[u8]) -> Result<Secret, SigningKeyError> {
        self.sign_encoded(&URL_SAFE_NO_PAD.encode(header.to_string()), claims)
    }

    fn sign_encoded(&self, header: &str, claims: &[u8]) -> Result<Secret, SigningKeyError> {
        let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(input.as_bytes());
        let signature = signature.ok_or(SigningKeyError::Signing(self.algorithm))?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(Secret::new(format!("{input}.{signature}")))
    }

    /// The claims of an access token that this key signed. The header is compared letter for letter: this key writes no other one,
    /// so nothing in a header is ever interpreted.
    pub fn open(&self, token: &str) -> Option<Vec<u8>> {
        let (input, signature) = token.rsplit_once('.')?;
        let (header, claims) = input.split_once('.')?;
        if header != self.header {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_ours = self.public.verify_sig(input.as_bytes(), &signature).is_ok();
        is_ours.then(|| URL_SAFE_NO_PAD.decode(claims).ok())?
    }

    fn read(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        let pair = Pair::read(algorithm, pkcs8)?;
        let members = pair.public_members()?;
        let id = thumbprint(&members);
        let described = [
            ("kid", id.as_str()),
            ("alg", algorithm.name()),
            ("use", "sig"),
        ];
        let described = described.map(|(name, value)| (name, value.to_owned()));
        let jwk = members.into_iter().chain(described);
        let jwk = jwk.map(|(name, value)| (name.to_owned(), Value::String(value)));
        let header = json!({ "alg": algorithm.name(), "kid": id, "typ": TOKEN_TYPE });
        Some(Self {
            algorithm,
            public: pair.public()?,
            pair,
            jwk: Value::Object(jwk.collect()),
            id,
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            private: Secret::new(STANDARD.encode(pkcs8)),
        })
    }
}

impl Pair {
    fn read(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Option<Self> {
        Some(match algorithm {
            SigningAlgorithm::Es256 => {
                Self::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?)
            }
            SigningAlgorithm::Rs256 => Self::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8).ok()?)),
            SigningAlgorithm::EdDsa => Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).ok()?),
        })
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::P256(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
            Self::Ed25519(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }

    fn public(&self) -> Option<ParsedPublicKey> {
        match self {
            Self::P256(pair) => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            }
            Self::Rsa(pair) => {
                ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            }
            Self::Ed25519(pair) => ParsedPublicKey::new(&ED25519, pair.public_key().as_ref()),
        }
        .ok()
    }

    /// The members of its JWK that a thumbprint has, in the order of their names (RFC 7638 §3.2, RFC 8037 §2).
    fn public_members(&self) -> Option<Vec<(&'static str, String)>> {
        let fixed = |value: &str| value.to_owned();
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Some(match self {
            Self::P256(pair) => {
                // Uncompressed: 04, x, y (SEC 1 §2.3.3).
                let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
                vec![
                    ("crv", fixed("P-256")),
                    ("kty", fixed("EC")),
                    ("x", encoded(x)),
                    ("y", encoded(y)),
                ]
            }
            Self::Rsa(pair) => {
                let PublicKeyComponents { n, e } =
                    PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                vec![
                    ("e", encoded(&e)),
                    ("kty", fixed("RSA")),
                    ("n", encoded(&n)),
                ]
            }
            Self::Ed25519(pair) => vec![
                ("crv", fixed("Ed25519")),
                ("kty", fixed("OKP")),
                ("x", encoded(pair.public_key().as_ref())),
            ],
        })
    }
}

/// The thumbprint of a key whose members stand in the order of their names (RFC 7638 §3). None of them needs an escape.
fn thumbprint(members: &[(&'static str, String)]) -> String {
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!(r#""{name}":"{value}""#))
        .collect();
    let canonical = format!("{{{}}}", members.join(","));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::{
        encoding::{AsDer as _, Pkcs8V1Der},
        rsa::KeySize,
    };
    use mcp_gateway_core::token::key_set::KeySet;

    use super::*;

    pub(crate) const ALL: [SigningAlgorithm; 3] = [
        SigningAlgorithm::Es256,
        SigningAlgorithm::Rs256,
        SigningAlgorithm::EdDsa,
    ];

    /// A new private key, as the rim makes it.
    pub(crate) fn pkcs8(algorithm: SigningAlgorithm) -> Vec<u8> {
        match algorithm {
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                pair.to_pkcs8v1().unwrap().as_ref().to_vec()
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                der.as_ref().to_vec()
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().unwrap();
                pair.to_pkcs8().unwrap().as_ref().to_vec()
            }
        }
    }

    pub(crate) fn key(algorithm: SigningAlgorithm) -> SigningKey {
        SigningKey::new(algorithm, &pkcs8(algorithm)).unwrap()
    }

    #[test]
    fn the_thumbprints_of_the_standards_are_computed() {
        let rsa = [
            ("e", "AQAB".to_owned()),
            ("kty", "RSA".to_owned()),
            (
                "n",
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw".to_owned(),
            ),
        ];
        assert_eq!(
            thumbprint(&rsa),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            "RFC 7638 §3.1"
        );
        let okp = [
            ("crv", "Ed25519".to_owned()),
            ("kty", "OKP".to_owned()),
            (
                "x",
                "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            ),
        ];
        assert_eq!(
            thumbprint(&okp),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            "RFC 8037 appendix A.3"
        );
    }

    #[test]
    fn a_public_key_is_one_that_the_gateway_takes_and_has_no_private_part() {
        for algorithm in ALL {
            let key = key(algorithm);
            let set = json!({ "keys": [key.jwk()] }).to_string();
            let parsed = KeySet::parse(set.as_bytes()).unwrap();
            assert_eq!(parsed.rejected.len(), 0, "{set}");
            assert_eq!(
                parsed.keys.ids().collect::<Vec<_>>(),
                [Some(key.id())],
                "{set}"
            );
            let jwk = key.jwk();
            assert_eq!(jwk["alg"], algorithm.name());
            assert_eq!(jwk["use"], "sig");
            for private in ["d", "p", "q", "dp", "dq", "qi"] {
                assert!(jwk.get(private).is_none(), "{private}");
            }
        }
    }

    #[test]
    fn a_key_opens_what_it_signed_and_nothing_else() {
        for algorithm in ALL {
            let (own, other) = (key(algorithm), key(SigningAlgorithm::Es256));
            let token = own.sign(br#"{"sub":"a"}"#).unwrap();
            let token = token.expose();
            assert_eq!(own.open(token).as_deref(), Some(&br#"{"sub":"a"}"#[..]));
            assert_eq!(other.open(token), None);
            let (input, signature) = token.rsplit_once('.').unwrap();
            let (header, _) = input.split_once('.').unwrap();
            let other_claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"b"}"#);
            let other_header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
            for changed in [
                format!("{header}.{other_claims}.{signature}"),
                format!("{other_header}.{other_claims}."),
                format!("{input}."),
                format!("{input}.{signature}="),
                format!("{input}.{signature}.{signature}"),
                format!(" {token}"),
                input.to_owned(),
                header.to_owned(),
                String::new(),
                "..".to_owned(),
            ] {
                assert_eq!(own.open(&changed), None, "{changed}");
            }
        }
    }

    #[test]
    fn a_private_key_of_another_kind_is_refused_and_none_is_shown() {
        for algorithm in ALL {
            let bytes = pkcs8(algorithm);
            for other in ALL.into_iter().filter(|other| *other != algorithm) {
                let error = SigningKey::new(other, &bytes).err();
                assert_eq!(error, Some(SigningKeyError::NotAKey(other)));
            }
            let short = bytes.get(1..).unwrap();
            assert!(SigningKey::new(algorithm, short).is_err());
            assert!(SigningKey::new(algorithm, &[]).is_err());
            let key = SigningKey::new(algorithm, &bytes).unwrap();
            assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.id()));
            assert_eq!(STANDARD.decode(key.private().expose()).unwrap(), bytes);
        }
    }
}
