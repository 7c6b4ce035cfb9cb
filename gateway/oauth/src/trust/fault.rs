//! Why a token of another issuer is not taken. The text follows after what the token is: "the assertion names no jti".

use mcp_gateway_core::refusal::{found::Found, reason::Reason};

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The longest `jti`, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// Why a token of another issuer is not taken. For the operator: the client learns only that it is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// It is not a token of at most [`MAX_TOKEN_BYTES`].
    #[error("is not a JSON Web Token of at most {MAX_TOKEN_BYTES} bytes")]
    NotAToken,
    /// Its issuer is not trusted for this.
    #[error(
        "names the issuer {}, which is not trusted for this (authorization_server.trusted_issuers)",
        Found(.0)
    )]
    Issuer(String),
    /// The verifier of tokens refuses it.
    #[error("is refused: {reason:?}{}", detail(.found))]
    Refused {
        /// Why.
        reason: Reason,
        /// What was found, and what is accepted.
        found: String,
    },
    /// A claim has another value than exactly one text.
    #[error("must name one {0}, as a text or a list with one text")]
    NotOne(&'static str),
    /// A claim for which an access token has no place.
    #[error("has the claim {0}, which is not supported")]
    Claim(&'static str),
    /// A claim is missing.
    #[error("has no {0}")]
    Missing(&'static str),
    /// `jti` is missing, empty or too long.
    #[error("has no jti of 1 to {MAX_ID_BYTES} bytes")]
    NoId,
}

impl TrustFault {
    /// Whether fetching the keys of the issuer again can help.
    pub fn may_have_new_keys(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                reason: Reason::UnknownKey,
                ..
            }
        )
    }

    /// Whether no key of the issuer signed it: what somebody does who guesses.
    pub fn is_forged(&self) -> bool {
        let reason = match self {
            Self::NotAToken | Self::Issuer(_) => return true,
            Self::Refused { reason, .. } => reason,
            _ => return false,
        };
        matches!(
            reason,
            Reason::MalformedToken
                | Reason::AlgNotAllowed
                | Reason::AlgKeyMismatch
                | Reason::UnknownKey
                | Reason::BadSignature
        )
    }
}

fn detail(found: &str) -> String {
    match found {
        "" => String::new(),
        found => format!(": {found}"),
    }
}
