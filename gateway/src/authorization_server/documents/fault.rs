//! Why there is no document.
//!
//! A client learns one of two things: the document cannot be fetched now, or it is not valid. Whether a name resolves, to what,
//! and what answers there is for the operator: the difference would let strangers look into the network of the gateway.

use std::time::Duration;

use mcp_gateway_core::{http::outbound::foreign_url::ForeignUrlError, token::key_set::KeySetError};
use mcp_gateway_oauth::client::document::DocumentError;
use thiserror::Error;

use super::budget::Spent;
use crate::fetch::foreign::ForeignError;

/// When a client may try again. One value for every cause.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Why there is no document. `Display` is for the operator; a client gets [`DocumentFault::shown`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum DocumentFault {
    /// The URL is not fetched, whatever is there.
    #[error("{0}")]
    Url(#[from] ForeignUrlError),
    /// The operator does not let the gateway fetch.
    #[error("fetching is switched off (metadata_documents.fetch)")]
    Off,
    /// As many documents were fetched as may be.
    #[error("{0}")]
    Spent(#[from] Spent),
    /// It could not be fetched.
    #[error("{0}")]
    Fetch(#[from] ForeignError),
    /// It is not a client metadata document of this URL.
    #[error("{0}")]
    Document(#[from] DocumentError),
    /// It is not a key set.
    #[error("the key set is invalid: {0}")]
    KeySet(#[from] KeySetError),
    /// It is a key set without a key.
    #[error("the key set has no key that can verify a signature")]
    NoKeys,
}

impl DocumentFault {
    /// Whether it may be there later: 503 with `Retry-After`. Otherwise the client is invalid.
    pub(crate) const fn is_temporary(&self) -> bool {
        match self {
            Self::Off | Self::Spent(_) => true,
            Self::Fetch(error) => !error.is_wrong_document(),
            Self::Url(_) | Self::Document(_) | Self::KeySet(_) | Self::NoKeys => false,
        }
    }

    /// Whether its owner has not said anything: what was fetched before, or is shipped, still holds. A page of a proxy or of a
    /// guard against robots in the place of the document is not its owner's word either.
    pub(super) const fn is_silence(&self) -> bool {
        matches!(self, Self::Off | Self::Spent(_) | Self::Fetch(_))
    }

    /// What a client learns, in a sentence.
    pub(crate) const fn shown(&self) -> &'static str {
        if self.is_temporary() {
            "The client's document cannot be fetched at the moment."
        } else {
            "The client's document is not valid."
        }
    }

    /// The metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Off => "off",
            Self::Spent(_) => "limit",
            Self::Fetch(error) => error.label(),
            Self::Document(_) | Self::KeySet(_) | Self::NoKeys => "document",
        }
    }
}
