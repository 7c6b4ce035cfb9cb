//! Why there is no token for an upstream.

use std::{sync::Arc, time::Duration};

use mcp_gateway_core::refusal::{Refusal, reason::Reason};
use thiserror::Error;

/// When to try again after an exchange that was not begun, or that found no place.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why there is no token.
#[derive(Clone, Debug, Error)]
pub(super) enum Failure {
    /// The token endpoint does not exchange the token of this caller.
    #[error("{0}")]
    Refused(Arc<str>),
    /// The same was found a moment ago.
    #[error(
        "found a moment ago (resources.upstream.credentials.token_exchange.negative_cache): {0}"
    )]
    RefusedBefore(Arc<str>),
    /// It issues none, or does not answer.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// It is not asked, because it failed.
    #[error("the token endpoint is not asked for {0:?}, because it failed")]
    Paused(Duration),
    /// It is not asked about this token, because it failed at it.
    #[error(
        "the token endpoint is not asked about this token for {0:?}, because it gave no usable answer about it"
    )]
    TokenPaused(Duration),
    /// The subject has too many exchanges in flight.
    #[error(
        "{0} exchanges of the subject are in flight (resources.upstream.credentials.token_exchange.calls_per_principal)"
    )]
    TooMany(usize),
    /// No place became free in time.
    #[error("{0} exchanges are in flight (resources.upstream.credentials.token_exchange.calls)")]
    Full(usize),
}

impl Failure {
    /// The refusal of the call.
    pub(super) fn refusal(&self) -> Refusal {
        let (reason, retry_after) = match self {
            Self::Refused(_) | Self::RefusedBefore(_) => (Reason::UpstreamCredentialRefused, None),
            Self::Unavailable(_) => (Reason::UpstreamCredentialUnavailable, None),
            Self::Paused(wait) | Self::TokenPaused(wait) => {
                (Reason::UpstreamCredentialUnavailable, Some(*wait))
            }
            Self::TooMany(_) => (Reason::TooManyExchanges, Some(RETRY_AFTER)),
            Self::Full(_) => (Reason::ExchangesExhausted, Some(RETRY_AFTER)),
        };
        Refusal {
            retry_after,
            detail: Some(self.to_string().into()),
            ..reason.into()
        }
    }

    /// The metric label.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::RefusedBefore(_) => "remembered",
            Self::Unavailable(_) => "failed",
            Self::Paused(_) | Self::TokenPaused(_) => "paused",
            Self::TooMany(_) | Self::Full(_) => "full",
        }
    }
}
