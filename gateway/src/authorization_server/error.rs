//! Why the authorization server cannot be used.

use std::{
    io,
    path::{Path, PathBuf},
};

use mcp_gateway_oauth::{client::configured::ConfiguredFault, store::rows::StoreError};
use thiserror::Error;

use super::keys::{KeyFileError, KeyFileProblem};
use crate::fetch::error::FetchError;

/// Why the authorization server cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ServerError {
    #[error("{} {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("the users file {0}")]
    Users(String),
    #[error("the client {id} (clients): {fault}")]
    Client { id: String, fault: ConfiguredFault },
    #[error("no resource accepts its tokens")]
    NoResource,
    #[error("{0}")]
    Keys(#[from] KeyFileError),
    #[error("the ring of signing keys {0}")]
    Ring(#[from] KeyFileProblem),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("documents of clients cannot be fetched: {0}")]
    Fetch(#[from] FetchError),
    #[error("passwords cannot be verified: {0}")]
    Passwords(#[from] io::Error),
}

impl ServerError {
    pub(super) fn file(path: &Path, problem: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}
