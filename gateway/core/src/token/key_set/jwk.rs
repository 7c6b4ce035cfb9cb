//! One key of a set (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2): checked, and prepared for verifying. Some issuers write every member
//! that they know; null counts as absent.

use std::sync::Arc;

use crate::json::{self, Object};
use crate::token::algorithm::Algorithm;
use crate::token::issuer_template;
use crate::token::jose::{MAX_KEY_ID_BYTES, base64url};
use crate::token::key_set::public_key::PublicKey;
use crate::token::key_set::rejection::KeyRejection;
use crate::token::key_set::served::Served;

/// The sizes an RSA modulus may have, in bits (RFC 7518 §3.3; the upper bound is the backend's).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The public exponents RSA may have (FIPS 186-5 §5.1; the upper bound is the backend's, 33 bits).
const RSA_EXPONENTS: std::ops::Range<u64> = 65_537..1 << 33;

const RSA_ALGORITHMS: &[Algorithm] = &[
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// Members that hold private parts (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The Edwards points of order eight, sign bit cleared. Points of smaller order are recognised by their pattern.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// A key that may verify tokens.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    id: Option<Box<str>>,
    /// The issuer that it signs for, perhaps a template, where the set names it. Entra does, in the set of all its tenants.
    issuer: Option<Box<str>>,
    served: Served,
    public: PublicKey,
}

/// The kinds of keys that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Key {
    pub(crate) fn read(raw: &[u8]) -> Result<Self, KeyRejection> {
        let jwk = json::object(raw).map_err(|_| KeyRejection::InvalidKey)?;
        let kty = required(&jwk, "kty")?;
        if kty == "oct" {
            return Err(KeyRejection::Symmetric);
        }
        if PRIVATE.iter().any(|name| jwk.given(name).is_some()) {
            return Err(KeyRejection::Private);
        }
        require_signature_use(&jwk)?;
        let id = text(&jwk, "kid")?.filter(|id| id.len() <= MAX_KEY_ID_BYTES);
        if id.is_none() && jwk.given("kid").is_some() {
            return Err(KeyRejection::InvalidKey);
        }
        let kind = KeyKind::read(&jwk, &kty)?;
        let algorithms = match text(&jwk, "alg")? {
            None => kind.algorithms().to_vec(),
            Some(name) => vec![kind.own_algorithm(&name)?],
        };
        let public = kind.public_key(&jwk)?;
        Ok(Self {
            id: id.map(Into::into),
            issuer: issuer(&jwk)?.map(Into::into),
            served: Served::new(&algorithms, &public).ok_or(KeyRejection::InvalidKey)?,
            public,
        })
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(crate) fn serves(&self, algorithm: Algorithm) -> bool {
        self.served.algorithms().any(|own| own == algorithm)
    }

    /// Whether it signs for an issuer with one of these names. A key that names no issuer signs for the one that publishes it.
    pub(crate) fn is_of(&self, issuers: &[Arc<str>]) -> bool {
        self.issuer.as_ref().is_none_or(|own| {
            issuers
                .iter()
                .any(|issuer| issuer_template::names(own, issuer))
        })
    }

    /// The SHA-256 thumbprint of the public key (RFC 7638).
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        self.public.thumbprint()
    }

    pub(crate) fn is_same_public_key(&self, other: &Self) -> bool {
        self.public == other.public
    }

    /// Whether both have the same id and an algorithm in common, but are different keys.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        let has_common_algorithm = || self.served.algorithms().any(|own| other.serves(own));
        self.id.is_some()
            && self.id == other.id
            && !self.is_same_public_key(other)
            && has_common_algorithm()
    }

    /// Whether this key serves the algorithm and verifies `signature` over `message`.
    pub(crate) fn verifies(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> bool {
        self.served
            .verifies(&self.public, algorithm, message, signature)
    }
}

/// Keys are equal if id, issuer, algorithms and public key are equal.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.issuer == other.issuer
            && self.served.algorithms().eq(other.served.algorithms())
            && self.public == other.public
    }
}

impl KeyKind {
    fn read(jwk: &Object<'_>, kty: &str) -> Result<Self, KeyRejection> {
        match kty {
            "RSA" => return Ok(Self::Rsa),
            "EC" | "OKP" => {}
            _ => return Err(KeyRejection::UnknownType),
        }
        match (kty, required(jwk, "crv")?.as_str()) {
            ("EC", "P-256") => Ok(Self::P256),
            ("EC", "P-384") => Ok(Self::P384),
            ("OKP", "Ed25519") => Ok(Self::Ed25519),
            _ => Err(KeyRejection::UnknownCurve),
        }
    }

    /// The algorithms of this kind of key; `alg` is optional (RFC 7517 §4.4).
    const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Rsa => RSA_ALGORITHMS,
            Self::P256 => &[Algorithm::Es256],
            Self::P384 => &[Algorithm::Es384],
            Self::Ed25519 => &[Algorithm::EdDsa],
        }
    }

    /// The public key that the members of a key of this kind have.
    fn public_key(self, jwk: &Object<'_>) -> Result<PublicKey, KeyRejection> {
        match self {
            Self::Rsa => rsa(jwk),
            Self::P256 => weierstrass(jwk, 32),
            Self::P384 => weierstrass(jwk, 48),
            Self::Ed25519 => edwards(jwk),
        }
    }

    fn own_algorithm(self, name: &str) -> Result<Algorithm, KeyRejection> {
        Algorithm::parse(name)
            .filter(|algorithm| self.algorithms().contains(algorithm))
            .ok_or(KeyRejection::Algorithm)
    }
}

/// The id of a key that may be unusable for another reason.
pub(crate) fn key_id(raw: &[u8]) -> Option<String> {
    text(&json::object(raw).ok()?, "kid").ok().flatten()
}

/// The issuer that a key names. Null names none; what cannot be read could name any.
fn issuer(jwk: &Object<'_>) -> Result<Option<String>, KeyRejection> {
    match jwk.get("issuer") {
        Some(b"null") => Ok(None),
        _ => text(jwk, "issuer"),
    }
}

fn require_signature_use(jwk: &Object<'_>) -> Result<(), KeyRejection> {
    if text(jwk, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(KeyRejection::NotForSignatures);
    }
    let Some(raw) = jwk.given("key_ops") else {
        return Ok(());
    };
    let operations = json::array(raw).map_err(|_| KeyRejection::InvalidKey)?;
    if operations
        .iter()
        .any(|raw| json::string(raw).is_some_and(|name| name == "verify"))
    {
        return Ok(());
    }
    Err(KeyRejection::NotForSignatures)
}

fn rsa(jwk: &Object<'_>) -> Result<PublicKey, KeyRejection> {
    let (n, e) = (integer(jwk, "n")?, integer(jwk, "e")?);
    let exponent = e.iter().try_fold(0_u64, |sum, byte| {
        sum.checked_mul(256)?.checked_add(u64::from(*byte))
    });
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let is_good_exponent =
        exponent.is_some_and(|exponent| RSA_EXPONENTS.contains(&exponent)) && is_odd(&e);
    if !RSA_BITS.contains(&bits(&n)) || !is_odd(&n) || !is_good_exponent {
        return Err(KeyRejection::WeakKey);
    }
    Ok(PublicKey::Rsa { n, e })
}

fn weierstrass(jwk: &Object<'_>, size: usize) -> Result<PublicKey, KeyRejection> {
    let point = [vec![4], octets(jwk, "x", size)?, octets(jwk, "y", size)?].concat();
    Ok(PublicKey::Weierstrass(point))
}

fn edwards(jwk: &Object<'_>) -> Result<PublicKey, KeyRejection> {
    let point = octets(jwk, "x", 32)?;
    if is_small_order(&point) {
        return Err(KeyRejection::WeakKey);
    }
    Ok(PublicKey::Edwards(point))
}

/// Whether a point has order 1, 2, 4 or 8, in any encoding: for such a key, signatures can be forged without a private key.
/// A point of zeros is one of them.
fn is_small_order(point: &[u8]) -> bool {
    let [first, middle @ .., last] = point else {
        return false;
    };
    let last = last & 0x7f;
    let all = |value: u8| middle.iter().all(|byte| *byte == value);
    // y is 0 or 1, or p - 1, p or p + 1, where p is the prime of the field.
    (*first <= 1 && all(0) && last == 0)
        || (matches!(first, 0xec..=0xee) && all(0xff) && last == 0x7f)
        || ORDER_8
            .iter()
            .any(|[a, b @ .., c]| a == first && b == middle && *c == last)
}

/// An octet string of exactly this size.
fn octets(jwk: &Object<'_>, name: &str, size: usize) -> Result<Vec<u8>, KeyRejection> {
    base64url(&required(jwk, name)?)
        .filter(|bytes| bytes.len() == size)
        .ok_or(KeyRejection::InvalidKey)
}

/// An unsigned integer. Leading zero octets, which some libraries write, do not change it (RFC 7518 §6.3.1.1).
fn integer(jwk: &Object<'_>, name: &str) -> Result<Vec<u8>, KeyRejection> {
    let bytes = base64url(&required(jwk, name)?).ok_or(KeyRejection::InvalidKey)?;
    Ok(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn bits(number: &[u8]) -> usize {
    let unused = number
        .first()
        .map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - unused
}

fn required(jwk: &Object<'_>, name: &str) -> Result<String, KeyRejection> {
    text(jwk, name)?.ok_or(KeyRejection::InvalidKey)
}

/// A member that must be a string if it is present.
fn text(jwk: &Object<'_>, name: &str) -> Result<Option<String>, KeyRejection> {
    let Some(raw) = jwk.given(name) else {
        return Ok(None);
    };
    let text = json::string(raw).ok_or(KeyRejection::InvalidKey)?;
    Ok(Some(text.into_owned()))
}
