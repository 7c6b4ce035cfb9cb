//! Why a client is not authenticated (RFC 6749 §5.2).

use http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use mcp_gateway_core::refusal::found::Found;

use super::assertion::AssertionFault;

/// What a client that used the `Authorization` header is asked for.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"OAuth client\"");

/// Why a client is not authenticated. The text is for the operator; the client gets [`description`](Self::description).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFault {
    /// More than one `Authorization` header.
    #[error("the request has more than one Authorization header")]
    SeveralHeaders,
    /// Another scheme.
    #[error("the Authorization header has another scheme than Basic")]
    Scheme,
    /// Not form-encoded id and secret in base64.
    #[error("the Authorization header is not client id and secret, form-encoded and in base64")]
    MalformedBasic,
    /// More than one method.
    #[error("the request has more than one kind of client credentials")]
    SeveralMethods,
    /// The body names another client than the credentials.
    #[error("client_id differs from the client of the credentials")]
    OtherClientId,
    /// No client.
    #[error("the request names no client")]
    NoClient,
    /// One of `client_assertion` and `client_assertion_type` alone.
    #[error("client_assertion and client_assertion_type must be sent together")]
    HalfAssertion,
    /// Another kind of assertion.
    #[error("client_assertion_type {} is not supported", Found(.0))]
    AssertionType(String),
    /// The client is not known.
    #[error("the client is not known")]
    UnknownClient,
    /// Another method than the registered one.
    #[error("the client registered the method {registered} and used {used}")]
    OtherMethod {
        /// The registered method.
        registered: &'static str,
        /// The method of the request.
        used: &'static str,
    },
    /// The secret is wrong.
    #[error("the client secret is wrong")]
    WrongSecret,
    /// The assertion is not accepted.
    #[error("the client assertion {0}")]
    Assertion(#[from] AssertionFault),
    /// The keys of the client cannot be had now.
    #[error("the keys of the client cannot be fetched")]
    KeysUnavailable,
    /// The table of used assertions is full.
    #[error("too many client assertions are in use")]
    Busy,
}

impl ClientFault {
    /// Its error code. The request is wrong, or the client is, or the server cannot tell now.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SeveralHeaders
            | Self::SeveralMethods
            | Self::OtherClientId
            | Self::NoClient
            | Self::HalfAssertion => "invalid_request",
            Self::KeysUnavailable | Self::Busy => "temporarily_unavailable",
            Self::Scheme
            | Self::MalformedBasic
            | Self::AssertionType(_)
            | Self::UnknownClient
            | Self::OtherMethod { .. }
            | Self::WrongSecret
            | Self::Assertion(_) => "invalid_client",
        }
    }

    /// Its status. 503 goes with `Retry-After`.
    pub fn status(&self) -> StatusCode {
        match self.code() {
            "invalid_request" => StatusCode::BAD_REQUEST,
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The text for the client. All wrong credentials have the same one.
    pub fn description(&self) -> &'static str {
        match self {
            Self::SeveralHeaders => "more than one Authorization header",
            Self::SeveralMethods => "more than one method of client authentication",
            Self::OtherClientId => "client_id differs from the client of the credentials",
            Self::NoClient => "client_id is missing",
            Self::HalfAssertion => {
                "client_assertion and client_assertion_type must be sent together"
            }
            Self::KeysUnavailable | Self::Busy => "the client cannot be authenticated now",
            _ => "client authentication failed",
        }
    }

    /// Whether fetching the keys of the client again can help.
    pub const fn may_have_new_keys(&self) -> bool {
        matches!(self, Self::Assertion(fault) if fault.may_have_new_keys())
    }
}

/// The `WWW-Authenticate` header of a 401: only for a client that used the `Authorization` header (RFC 6749 §5.2).
pub fn challenge(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.contains_key(AUTHORIZATION).then_some(CHALLENGE)
}
