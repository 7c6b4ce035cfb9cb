//! Why a proof is refused. What is found in it is kept for the operator; the client learns the reason alone.

use crate::refusal::reason::Reason;
use crate::time::UnixTime;
use crate::token::algorithm::Algorithm;
use crate::token::key_set::KeyRejection;

/// Why a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofFault {
    /// There is no `DPoP` header.
    Missing,
    /// There are several.
    Several(usize),
    /// It is longer than a proof may be, in bytes.
    TooLarge(usize),
    /// Not a JWT of three canonical base64url parts with strict JSON in them.
    Form,
    /// A header parameter or claim is missing, or has another type.
    Member(&'static str),
    /// `jti` is longer than it may be, in bytes.
    LongId(usize),
    /// `typ` is another one.
    Type(String),
    /// `alg` is not a supported asymmetric algorithm.
    Algorithm(String),
    /// A header parameter that changes what the proof means, or names another key.
    Parameter(&'static str),
    /// `jwk` is not a public key that can be used.
    Key(KeyRejection),
    /// `alg` is not an algorithm of the key.
    KeyAlgorithm(Algorithm),
    /// The proof is signed by another key than the one that the token is bound to.
    OtherKey,
    /// The signature does not verify.
    Signature,
    /// `htm` is another method.
    Method(String),
    /// `htu` is another URI.
    Uri(String),
    /// `iat` is too long ago, or too far in the future.
    IssuedAt(UnixTime),
    /// `exp` has passed, or `nbf` is in the future.
    Validity(&'static str, UnixTime),
    /// `ath` is the digest of another token.
    OtherToken,
    /// A nonce is required and there is none.
    NoNonce,
    /// The nonce is not one of this gateway, or was made with another key.
    ForeignNonce,
    /// The nonce is too old.
    OldNonce,
}

impl ProofFault {
    /// The reason of the refusal.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::OtherKey => Reason::DpopOtherKey,
            Self::Method(_) | Self::Uri(_) | Self::OtherToken => Reason::DpopProofMismatch,
            Self::IssuedAt(_) | Self::Validity(..) => Reason::DpopProofTime,
            Self::NoNonce | Self::ForeignNonce | Self::OldNonce => Reason::DpopNonceRequired,
            _ => Reason::InvalidDpopProof,
        }
    }

    /// A word for it.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several(_) => "several",
            Self::TooLarge(_) => "too_large",
            Self::Form => "form",
            Self::Member(_) => "member",
            Self::LongId(_) => "long_id",
            Self::Type(_) => "type",
            Self::Algorithm(_) => "algorithm",
            Self::Parameter(_) => "parameter",
            Self::Key(_) => "key",
            Self::KeyAlgorithm(_) => "key_algorithm",
            Self::OtherKey => "other_key",
            Self::Signature => "signature",
            Self::Method(_) => "method",
            Self::Uri(_) => "uri",
            Self::IssuedAt(_) => "issued_at",
            Self::Validity(..) => "validity",
            Self::OtherToken => "other_token",
            Self::NoNonce => "no_nonce",
            Self::ForeignNonce => "foreign_nonce",
            Self::OldNonce => "old_nonce",
        }
    }
}
