//! What happened at the built-in authorization server: for its metrics and the audit log. No secret, code, token or cookie is in it.

use std::sync::Arc;

use mcp_gateway_oauth::token::{assertion, exchange};

/// Something that happened at the built-in authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizationEvent {
    /// What was asked for.
    pub(crate) kind: EventKind,
    /// How it ended: a word of a closed set, such as `issued`, `denied` or an error code of RFC 6749.
    pub(crate) outcome: &'static str,
    /// Why, where it did not succeed.
    pub(crate) reason: Option<String>,
    /// Who it was about.
    pub(crate) about: EventSubject,
}

/// Who and what an event is about, as far as it is known. Texts of clients; the log shortens and escapes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventSubject {
    /// The `client_id`.
    pub(crate) client: Option<String>,
    /// The `sub` of the user, where the server knows one.
    pub(crate) subject: Option<String>,
    /// The provider of that user's account, by its name in the configuration.
    pub(crate) provider: Option<String>,
    /// What the provider calls the account.
    pub(crate) account: Option<String>,
    /// What people call it.
    pub(crate) name: Option<String>,
    /// The resource URI.
    pub(crate) resource: Option<String>,
    /// The scopes, separated by spaces.
    pub(crate) scopes: Option<String>,
    /// The id of the grant.
    pub(crate) grant: Option<String>,
}

/// What notes events that no request causes.
pub(crate) type Note = Arc<dyn Fn(&AuthorizationEvent) + Send + Sync>;

impl AuthorizationEvent {
    /// A grant or a client ended, and no request ended it.
    pub(crate) fn revoked(reason: &str, about: EventSubject) -> Self {
        Self {
            kind: EventKind::Revocation,
            outcome: "revoked",
            reason: Some(reason.to_owned()),
            about,
        }
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// An authorization request; only a refused one is an event.
    Authorization,
    /// Somebody signed in, or tried to.
    SignIn,
    /// Somebody signed out.
    SignOut,
    /// Somebody answered the consent page.
    Consent,
    /// A client registered itself, or changed or removed its registration.
    Registration,
    /// A token request, by its grant type.
    Token(GrantKind),
    /// A client revoked a token, or something ended its grant that was not a request.
    Revocation,
    /// A resource server asked about a token; only a refused question is an event.
    Introspection,
}

/// The grant type of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantKind {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    /// An assertion of which the kind is not known.
    JwtBearer,
    /// An identity assertion.
    IdJag,
    /// A token of a workload.
    Workload,
    TokenExchange,
    Other,
}

impl GrantKind {
    /// The grant type with this name (RFC 6749 §4, §6).
    pub(crate) fn of(name: Option<&str>) -> Self {
        match name {
            Some("authorization_code") => Self::AuthorizationCode,
            Some("refresh_token") => Self::RefreshToken,
            Some("client_credentials") => Self::ClientCredentials,
            Some(assertion::GRANT_TYPE) => Self::JwtBearer,
            Some(exchange::GRANT_TYPE) => Self::TokenExchange,
            _ => Self::Other,
        }
    }

    /// The label in metrics and logs.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::JwtBearer => "jwt_bearer",
            Self::IdJag => "id_jag",
            Self::Workload => "workload",
            Self::TokenExchange => "token_exchange",
            Self::Other => "other",
        }
    }
}

impl EventKind {
    /// The word in the audit log.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Authorization => "authorization",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::Consent => "consent",
            Self::Registration => "registration",
            Self::Token(_) => "token",
            Self::Revocation => "revocation",
            Self::Introspection => "introspection",
        }
    }

    /// The grant type of a token request.
    pub(crate) const fn grant_type(self) -> Option<&'static str> {
        match self {
            Self::Token(grant) => Some(grant.label()),
            _ => None,
        }
    }
}
