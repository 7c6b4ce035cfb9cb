//! Why a key of a set does not serve.

/// Why a key does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeyRejection {
    /// `kty` is `oct`: whoever reads the set could sign (RFC 7518 §6.4).
    #[error("a symmetric key is published: replace it at once")]
    Symmetric,
    /// It has private members (RFC 7517 §9.2).
    #[error("a private key is published: replace it at once")]
    Private,
    /// `kty` is none of RSA, EC, OKP.
    #[error("the key type is not supported")]
    UnknownType,
    /// `crv` is none of P-256, P-384, Ed25519.
    #[error("the curve is not supported")]
    UnknownCurve,
    /// `use` or `key_ops` keep it for something else (RFC 7517 §4.2, §4.3).
    #[error("the key is not for signatures")]
    NotForSignatures,
    /// `alg` is not supported, or not one of this key's type.
    #[error("the key's algorithm is not supported or does not fit its type")]
    Algorithm,
    /// An RSA modulus outside 2048 to 8192 bits, a bad exponent (FIPS 186-5 §5.1), an Edwards point of small order.
    #[error("the key is too weak or too large")]
    WeakKey,
    /// Members are missing or of the wrong form, or the point is not on its curve.
    #[error("the key is malformed")]
    InvalidKey,
    /// Different keys have this id and could verify the same token.
    #[error("different keys share this key id")]
    DuplicateKeyId,
    /// The set holds more keys than are looked at.
    #[error("the set holds more than 100 keys")]
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
