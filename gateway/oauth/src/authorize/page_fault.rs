//! Faults that are shown to the person on a page, because no redirect URI can be trusted (RFC 6749 §4.1.2.1).

use std::borrow::Cow;

use mcp_gateway_core::refusal::found::Found;

use super::error::ErrorCode;
use crate::{
    form::{Form, FormError},
    redirect_uri::{FoundUri, FoundUris, RedirectUriError},
};

/// The most bytes of a `client_id`. The longest ones are URLs of metadata documents.
pub const MOST_CLIENT_ID_BYTES: usize = 2048;
/// The most bytes of a `state`.
pub const MOST_STATE_BYTES: usize = 4096;

/// Why a request gets a page. `Display` is for the operator: what was found and what was expected. [`PageFault::shown`] is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// The query cannot be read.
    #[error("the query of the authorization request cannot be read: {0}")]
    Form(#[from] FormError),
    /// The whole request is longer than [`MOST_QUERY_BYTES`](super::MOST_QUERY_BYTES).
    #[error("the authorization request is too long: {found} bytes, at most {most} are accepted")]
    TooLong {
        /// Its bytes.
        found: usize,
        /// The most that are accepted.
        most: usize,
    },
    /// No `client_id`.
    #[error("the authorization request has no client_id")]
    NoClientId,
    /// More than one.
    #[error("the authorization request has more than one client_id")]
    RepeatedClientId,
    /// More than [`MOST_CLIENT_ID_BYTES`].
    #[error("the client_id is longer than {MOST_CLIENT_ID_BYTES} bytes")]
    LongClientId,
    /// More than one `redirect_uri`.
    #[error("the authorization request has more than one redirect_uri")]
    RepeatedRedirectUri,
    /// No `redirect_uri`, and not exactly one is registered.
    #[error(
        "the authorization request has no redirect_uri, and the client {} has {registered} redirect URIs: it can be left out only where exactly one is registered",
        Found(client)
    )]
    NoRedirectUri {
        /// The client.
        client: String,
        /// How many it has.
        registered: usize,
    },
    /// No `redirect_uri`, and the registered one is loopback without a port.
    #[error(
        "the authorization request has no redirect_uri, and the one that the client {} registered has no port: {}",
        Found(client),
        FoundUri(registered)
    )]
    NoPort {
        /// The client.
        client: String,
        /// What it registered.
        registered: String,
    },
    /// The `redirect_uri` is not one at all.
    #[error("the redirect_uri {} is refused: {error}", FoundUri(sent))]
    RedirectUri {
        /// What was sent.
        sent: String,
        /// What is wrong with it.
        error: RedirectUriError,
    },
    /// The `redirect_uri` is not one of the client's.
    #[error(
        "the redirect_uri {} is not registered for the client {}: it has {}",
        FoundUri(sent),
        Found(client),
        FoundUris(registered)
    )]
    RedirectUriNotRegistered {
        /// The client.
        client: String,
        /// What was sent.
        sent: String,
        /// What it registered.
        registered: Vec<String>,
    },
    /// The client is not the one any more that the person saw, or may not do any more what was asked.
    #[error(
        "the client {} changed after the person was asked: {detail}",
        Found(client)
    )]
    ClientChanged {
        /// The client.
        client: String,
        /// What was found.
        detail: String,
    },
    /// The request has a fault, and nobody vouches for where the client would have its error sent (RFC 9700 §4.11.2).
    #[error(
        "{detail}; the error is shown on a page and not sent to {host}, since nobody vouches for the client {}",
        Found(client)
    )]
    NotSentBack {
        /// The client.
        client: String,
        /// The host of its redirect URI.
        host: String,
        /// The error that it would have got.
        code: ErrorCode,
        /// Its `error_description`.
        description: &'static str,
        /// What was found.
        detail: String,
    },
    /// More than [`MOST_STATE_BYTES`]: it could not be given back.
    #[error("the state is longer than {MOST_STATE_BYTES} bytes")]
    LongState,
}

impl PageFault {
    /// What the page says. Of what was sent and registered it shows only the host of [`NotSentBack`](Self::NotSentBack).
    pub fn shown(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Form(_) => "The application sent a request that cannot be read.",
            Self::TooLong { .. } | Self::LongState => {
                "The application sent a request that is too long."
            }
            Self::NoClientId => "The application did not say who it is (client_id).",
            Self::RepeatedClientId | Self::LongClientId => {
                "The application did not say clearly who it is (client_id)."
            }
            Self::NoRedirectUri { .. } | Self::NoPort { .. } => {
                "The application did not say where you should return to (redirect_uri)."
            }
            Self::RepeatedRedirectUri => {
                "The application named more than one address where you should return to (redirect_uri)."
            }
            Self::RedirectUri { .. } => {
                "The address where the application wants you to return to (redirect_uri) is not allowed."
            }
            Self::ClientChanged { .. } => {
                "The application was changed or removed while you were asked."
            }
            Self::RedirectUriNotRegistered { .. } => {
                "The address where the application wants you to return to (redirect_uri) is not one that it registered."
            }
            Self::NotSentBack {
                host, description, ..
            } => {
                return format!(
                    "{description} You were not sent back to {host}, since nobody has verified this application."
                )
                .into();
            }
        };
        text.into()
    }

    /// A short name of the fault, for logs and metrics.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::TooLong { .. } => "too_long",
            Self::NoClientId => "no_client_id",
            Self::RepeatedClientId => "repeated_client_id",
            Self::LongClientId => "long_client_id",
            Self::RepeatedRedirectUri => "repeated_redirect_uri",
            Self::NoRedirectUri { .. } => "no_redirect_uri",
            Self::NoPort { .. } => "no_port",
            Self::RedirectUri { .. } => "redirect_uri",
            Self::RedirectUriNotRegistered { .. } => "redirect_uri_not_registered",
            Self::ClientChanged { .. } => "client_changed",
            Self::NotSentBack { code, .. } => code.as_str(),
            Self::LongState => "long_state",
        }
    }
}

/// The client that a request names.
///
/// # Errors
/// [`PageFault`].
pub fn client_id(form: &Form) -> Result<&str, PageFault> {
    if form.repeated().any(|name| name == "client_id") {
        return Err(PageFault::RepeatedClientId);
    }
    let id = form.get("client_id").ok_or(PageFault::NoClientId)?;
    if id.len() > MOST_CLIENT_ID_BYTES {
        return Err(PageFault::LongClientId);
    }
    Ok(id)
}
