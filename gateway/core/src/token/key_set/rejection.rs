//! Why a key of a set is not used.

/// Why a key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeyRejection {
    /// `kty` is `oct`: every reader of the set can sign tokens (RFC 7518 §6.4).
    #[error("the issuer publishes a symmetric key (kty oct): replace it at once")]
    Symmetric,
    /// It has private members: every reader of the set can sign tokens (RFC 7517 §9.2).
    #[error("the issuer publishes a private key: replace it at once")]
    Private,
    /// `kty` is not RSA, EC or OKP.
    #[error("unsupported key type: kty must be RSA, EC or OKP")]
    UnknownType,
    /// `crv` is not P-256, P-384 or Ed25519.
    #[error("unsupported curve: crv must be P-256, P-384 or Ed25519")]
    UnknownCurve,
    /// `use` or `key_ops` reserve it for another purpose (RFC 7517 §4.2, §4.3).
    #[error("not a key for signatures: use must be sig and key_ops must include verify")]
    NotForSignatures,
    /// `alg` is not supported, or does not match the key type.
    #[error("alg is not supported or does not match the key type")]
    Algorithm,
    /// An RSA modulus outside 2048 to 8192 bits, a forbidden exponent (FIPS 186-5 §5.1), an Edwards point of small order.
    #[error(
        "the key is too weak or too large: RSA must have 2048 to 8192 bits and an exponent of at least 65537"
    )]
    WeakKey,
    /// A member is missing or malformed, or the point is not on its curve.
    #[error("malformed key: a member is missing or invalid, or the point is not on its curve")]
    InvalidKey,
    /// Different keys have this id and could verify the same token.
    #[error("different keys have the same key id (kid)")]
    DuplicateKeyId,
    /// The set holds more keys than are read.
    #[error("the set holds more than 100 keys: the rest is ignored")]
    TooMany,
}

impl KeyRejection {
    /// Every rejection.
    pub const ALL: &'static [Self] = &[
        Self::Symmetric,
        Self::Private,
        Self::UnknownType,
        Self::UnknownCurve,
        Self::NotForSignatures,
        Self::Algorithm,
        Self::WeakKey,
        Self::InvalidKey,
        Self::DuplicateKeyId,
        Self::TooMany,
    ];

    /// Metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Symmetric => "symmetric",
            Self::Private => "private",
            Self::UnknownType => "unknown_type",
            Self::UnknownCurve => "unknown_curve",
            Self::NotForSignatures => "not_for_signatures",
            Self::Algorithm => "algorithm",
            Self::WeakKey => "weak_key",
            Self::InvalidKey => "invalid_key",
            Self::DuplicateKeyId => "duplicate_key_id",
            Self::TooMany => "too_many",
        }
    }
}
