//! Errors that a client gets at its redirect URI (RFC 6749 §4.1.2.1).

/// An error code of the authorization endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A parameter is missing, repeated or wrong (RFC 6749 §4.1.2.1).
    InvalidRequest,
    /// The client may not use this endpoint.
    UnauthorizedClient,
    /// The user refused.
    AccessDenied,
    /// Only `code` is supported.
    UnsupportedResponseType,
    /// The client may have no scope of the resource.
    InvalidScope,
    /// Something failed.
    ServerError,
    /// Something is overloaded or cannot be reached.
    TemporarilyUnavailable,
    /// The resource is unknown (RFC 8707 §2).
    InvalidTarget,
    /// Nobody is signed in, and no page may be shown (OpenID Connect Core §3.1.2.6).
    LoginRequired,
    /// Consent is needed, and no page may be shown.
    ConsentRequired,
    /// A page is needed for another reason, and none may be shown.
    InteractionRequired,
    /// Request objects are not supported.
    RequestNotSupported,
    /// Request objects by reference are not supported.
    RequestUriNotSupported,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::UnauthorizedClient,
        Self::AccessDenied,
        Self::UnsupportedResponseType,
        Self::InvalidScope,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::InvalidTarget,
        Self::LoginRequired,
        Self::ConsentRequired,
        Self::InteractionRequired,
        Self::RequestNotSupported,
        Self::RequestUriNotSupported,
    ];

    /// The value of `error`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::InvalidTarget => "invalid_target",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
            Self::InteractionRequired => "interaction_required",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
        }
    }

    /// A sentence for `error_description`, where there is nothing more exact to say.
    pub const fn description(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request is not valid.",
            Self::UnauthorizedClient => "This client may not use the authorization endpoint.",
            Self::AccessDenied => "The user refused.",
            Self::UnsupportedResponseType => "The response_type must be code.",
            Self::InvalidScope => "This client may have no scope of this resource.",
            Self::ServerError => "The server failed. Try again later.",
            Self::TemporarilyUnavailable => "The server is busy. Try again later.",
            Self::InvalidTarget => {
                "The resource must be one that this server issues tokens for, and only one."
            }
            Self::LoginRequired => "Nobody is signed in, and prompt is none.",
            Self::ConsentRequired => "The user has to consent, and prompt is none.",
            Self::InteractionRequired => "A page has to be shown, and prompt is none.",
            Self::RequestNotSupported => "The parameter request is not supported.",
            Self::RequestUriNotSupported => "The parameter request_uri is not supported.",
        }
    }
}

/// An error for the client, and the redirect that takes it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationError {
    /// The code.
    pub code: ErrorCode,
    /// The `error_description`.
    pub description: String,
    /// What was found and what was expected, for the operator's log.
    pub detail: String,
    /// The `Location` of the answer.
    pub location: String,
}
