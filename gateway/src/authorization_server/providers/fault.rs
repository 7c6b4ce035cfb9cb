//! Why a sign-in with a provider fails: what the person reads, and what the operator reads.

use mcp_gateway_oauth::{
    federation::{
        account::AccountFault,
        protocol::{
            callback::CallbackFault, cookie::SealFault, metadata::MetadataFault,
            token_answer::TokenFault,
        },
    },
    pages::sign_in_failed::Problem,
};

use crate::fetch::error::FetchError;

/// Why a sign-in with a provider fails. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProviderFault {
    /// It cannot be reached, or says that it cannot answer.
    #[error("the provider is unavailable: {0}")]
    Unavailable(String),
    /// What it says cannot be used: it is set up in another way than we are, or it is another one.
    #[error("the provider's answer is not used: {0}")]
    Wrong(String),
    /// The person or the provider refused.
    #[error("{0}")]
    Denied(String),
    /// It no longer knows the account, or the tokens that we have.
    #[error("{0}")]
    Over(String),
    /// The rules do not let the account in.
    #[error("{0}")]
    NotAllowed(String),
    /// It left out what the rules read.
    #[error("{0}")]
    LeftOut(String),
    /// The authorization request is too long to be carried along.
    #[error("{0}")]
    TooLong(SealFault),
}

impl ProviderFault {
    /// What the person reads.
    pub(crate) const fn problem(&self) -> Problem {
        match self {
            Self::Unavailable(_) => Problem::Unavailable,
            Self::Wrong(_) | Self::Over(_) => Problem::Wrong,
            Self::Denied(_) => Problem::Denied,
            Self::NotAllowed(_) => Problem::NotAllowed,
            Self::LeftOut(_) => Problem::LeftOut,
            Self::TooLong(_) => Problem::TooLong,
        }
    }

    /// Whether it is what the provider says to a code that somebody made up.
    pub(crate) const fn may_be_a_guess(&self) -> bool {
        matches!(self, Self::Wrong(_) | Self::Over(_))
    }

    /// The word in metrics and in the audit log.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "provider_unavailable",
            Self::Wrong(_) | Self::Over(_) => "provider_wrong",
            Self::Denied(_) => "provider_denied",
            Self::NotAllowed(_) => "not_allowed",
            Self::LeftOut(_) => "groups_left_out",
            Self::TooLong(_) => "request_too_long",
        }
    }
}

impl From<FetchError> for ProviderFault {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Deadline(..)
            | FetchError::Connection { .. }
            | FetchError::Broken { .. }
            | FetchError::Proxy { .. }
            | FetchError::ProxyStatus { .. } => Self::Unavailable(error.to_string()),
            FetchError::Status { status, .. } if status >= 500 || status == 429 => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Wrong(error.to_string()),
        }
    }
}

impl From<MetadataFault> for ProviderFault {
    fn from(fault: MetadataFault) -> Self {
        Self::Wrong(format!("its discovery document cannot be used: {fault}"))
    }
}

impl From<TokenFault> for ProviderFault {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Unavailable(_) => Self::Unavailable(fault.to_string()),
            TokenFault::InvalidGrant(_) => Self::Over(fault.to_string()),
            TokenFault::Refused(_) | TokenFault::Unusable(_) => Self::Wrong(fault.to_string()),
        }
    }
}

impl From<CallbackFault> for ProviderFault {
    fn from(fault: CallbackFault) -> Self {
        match fault {
            CallbackFault::Denied { .. } => Self::Denied(fault.to_string()),
            CallbackFault::Failed { .. } | CallbackFault::Issuer { .. } | CallbackFault::NoCode => {
                Self::Wrong(fault.to_string())
            }
        }
    }
}

impl From<AccountFault> for ProviderFault {
    fn from(fault: AccountFault) -> Self {
        match fault {
            AccountFault::NotAllowed(_) => Self::NotAllowed(fault.to_string()),
            AccountFault::LeftOut(_) => Self::LeftOut(fault.to_string()),
        }
    }
}
