//! Why a registration is refused (RFC 7591 §3.2.2, RFC 7592, RFC 6750 §3.1).

use http::StatusCode;

use crate::client::metadata::MetadataFault;

/// Why a registration is refused. Its text is for the client too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// What is wrong with the metadata.
    #[error(transparent)]
    Metadata(#[from] MetadataFault),
    /// Clients for people do not register here.
    #[error("registration is switched off for clients that act for people")]
    PeopleOff,
    /// Machines do not register here.
    #[error(
        "registration is switched off for clients with the grant type client_credentials alone"
    )]
    MachinesOff,
    /// The initial access token is missing or not known.
    #[error(
        "an initial access token is required to register with the grant type client_credentials"
    )]
    InitialAccessToken,
    /// No room for another client.
    #[error("the server has too many registered clients; try again later")]
    Full,
    /// The client is not known or the registration access token is not its own.
    #[error("the registration access token is not valid")]
    RegistrationAccessToken,
    /// An update with another id.
    #[error("client_id must be the id of this client")]
    OtherClientId,
    /// An update with another secret.
    #[error("client_secret must be the secret of this client")]
    OtherSecret,
    /// An update with a member that only the server sets.
    #[error("{0} must not be sent")]
    NotSettable(&'static str),
    /// An update makes a machine of a client for people, or the other way round.
    #[error("grant_types must not change between authorization_code and client_credentials")]
    OtherKind,
}

impl RegistrationError {
    /// Its error code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Metadata(fault) => fault.code(),
            Self::InitialAccessToken | Self::RegistrationAccessToken => "invalid_token",
            Self::Full => "temporarily_unavailable",
            Self::PeopleOff
            | Self::MachinesOff
            | Self::OtherClientId
            | Self::OtherSecret
            | Self::NotSettable(_)
            | Self::OtherKind => "invalid_client_metadata",
        }
    }

    /// Its status. 401 goes with `WWW-Authenticate: Bearer error="invalid_token"`, 503 with `Retry-After`.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::InitialAccessToken | Self::RegistrationAccessToken => StatusCode::UNAUTHORIZED,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
