//! What is wrong with client metadata, and its error code (RFC 7591 §3.2.2).

use mcp_gateway_core::{
    json::{FIXED, JsonError},
    refusal::found::Found,
};

use crate::{client::foreign_url::ForeignUrlFault, redirect_uri::RedirectUriError};

use super::limits::{JSON_LIMITS, MAX_METADATA_BYTES};

/// The member whose faults have an error code of their own.
const REDIRECT_URIS: &[u8] = b"redirect_uris";

/// What is wrong with client metadata. A text of the client is shown escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// The document is too large.
    #[error("the metadata has {0} bytes, more than {MAX_METADATA_BYTES}")]
    TooLarge(usize),
    /// Not strict JSON.
    #[error("the metadata is not valid JSON: {}", JSON_LIMITS.explain(*.0, FIXED))]
    Json(JsonError),
    /// JSON, but not an object.
    #[error("the metadata must be a JSON object")]
    NotAnObject,
    /// A member has another type.
    #[error("{member} must be {expected}")]
    Type {
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A text is too long.
    #[error("{member} has {bytes} bytes, more than {most}")]
    TooLong {
        /// The member.
        member: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// A list has too many elements.
    #[error("{member} has {found} elements, more than {most}")]
    TooMany {
        /// The member.
        member: &'static str,
        /// How many there are.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// No redirect URI, though the client acts for people.
    #[error("redirect_uris must have at least one URI")]
    NoRedirectUri,
    /// A redirect URI that may not be used.
    #[error("redirect_uris has {}: {problem}", Found(.uri))]
    RedirectUri {
        /// The URI.
        uri: String,
        /// What is wrong with it.
        problem: RedirectUriError,
    },
    /// A method that the server does not have.
    #[error(
        "token_endpoint_auth_method {} is not supported; use none, client_secret_basic, client_secret_post or private_key_jwt",
        Found(.0)
    )]
    Method(String),
    /// A machine without a way to authenticate.
    #[error(
        "token_endpoint_auth_method none cannot be used with the grant type client_credentials"
    )]
    MachineWithoutSecret,
    /// An algorithm that the server does not have.
    #[error(
        "token_endpoint_auth_signing_alg {} is not supported; use RS256, PS256, ES256 or EdDSA",
        Found(.0)
    )]
    SigningAlgorithm(String),
    /// `private_key_jwt` without keys.
    #[error("token_endpoint_auth_method private_key_jwt requires jwks or jwks_uri")]
    NoKeys,
    /// Both places for keys.
    #[error("jwks and jwks_uri must not both be present")]
    TwoKeySets,
    /// A key set without a usable key.
    #[error("jwks {0}")]
    KeySet(String),
    /// Tokens would have to be bound to a key and to a certificate.
    #[error(
        "dpop_bound_access_tokens and tls_client_certificate_bound_access_tokens must not both be true"
    )]
    BoundTwice,
    /// A place for keys that is not fetched.
    #[error("jwks_uri {0}")]
    KeySetUri(ForeignUrlFault),
    /// No grant type that the server has.
    #[error(
        "grant_types has none that the server supports: authorization_code, refresh_token, client_credentials"
    )]
    GrantTypes,
    /// `refresh_token` alone.
    #[error("grant_types must have authorization_code where it has refresh_token")]
    RefreshTokenAlone,
    /// No response type that the server has.
    #[error("response_types must have code")]
    ResponseTypes,
}

impl MetadataFault {
    /// Its error code (RFC 7591 §3.2.2).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRedirectUri | Self::RedirectUri { .. } => "invalid_redirect_uri",
            Self::Type { member, .. }
            | Self::TooLong { member, .. }
            | Self::TooMany { member, .. }
                if matches!(member.as_bytes(), REDIRECT_URIS) =>
            {
                "invalid_redirect_uri"
            }
            _ => "invalid_client_metadata",
        }
    }
}
