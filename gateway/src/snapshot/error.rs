//! Why a checked configuration cannot be used.

use std::path::PathBuf;

use http::HeaderName;
use mcp_gateway_core::seal::SealingKeyError;
use thiserror::Error;

use crate::{
    assertion::keys::AssertionKeysError, authorization_server::ServerError,
    config::files::FileError, decision::point::PointError, fetch::error::FetchError,
    upstream::UpstreamError, upstream_credentials::CredentialsError,
};

/// A file cannot be used any more since the configuration was checked, or the system has no randomness for a key.
#[derive(Debug, Error)]
pub(crate) enum SnapshotError {
    #[error("resource {path}: {error}")]
    Upstream { path: String, error: UpstreamError },
    #[error(
        "resource {path}: the credentials for its upstream (resources.upstream.credentials): {error}"
    )]
    UpstreamCredentials {
        path: String,
        error: CredentialsError,
    },
    #[error("issuer {name}: {error}")]
    Issuer { name: String, error: FetchError },
    #[error("the file {} of the header {name} (resources.upstream.headers) {error}", path.display())]
    UpstreamHeader {
        name: HeaderName,
        path: PathBuf,
        error: FileError,
    },
    #[error("decision point {name} (decision_points): {error}")]
    DecisionPoint { name: String, error: PointError },
    #[error("the session key {} (sessions.key_files) {error}", path.display())]
    SessionKey { path: PathBuf, error: FileError },
    #[error("the authorization server (authorization_server): {0}")]
    AuthorizationServer(#[from] ServerError),
    #[error("{0}")]
    AssertionKeys(#[from] AssertionKeysError),
    #[error("cannot create the session key: {0}")]
    Sealing(#[from] SealingKeyError),
}
