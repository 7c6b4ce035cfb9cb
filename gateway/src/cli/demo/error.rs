//! Why the demonstration cannot run.

use std::{io, net::SocketAddr, path::Path};

use thiserror::Error;

use crate::app::RunError;

/// Why the demonstration cannot run.
#[derive(Debug, Error)]
pub(super) enum DemoError {
    #[error(
        "the demonstration's tokens are for anybody to copy, so it listens on loopback only, not on {0}"
    )]
    NotLoopback(SocketAddr),
    #[error(
        "the demonstration's tokens and lines name the port, so it needs one that is known: --address {0}, for one"
    )]
    NoPort(SocketAddr),
    #[error("{0}; --address and --admin choose other addresses")]
    Taken(RunError),
    #[error("cannot write {path}: {error}")]
    File { path: String, error: io::Error },
    #[error("cannot make a signing key: {0}")]
    Key(String),
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the task server cannot start: {0}")]
    Tasks(String),
    #[error("the demonstration's own configuration is wrong, which is a defect: {0}")]
    Config(String),
    #[error(transparent)]
    Run(RunError),
}

impl From<RunError> for DemoError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Bind { .. } => Self::Taken(error),
            _ => Self::Run(error),
        }
    }
}

impl DemoError {
    /// A file of the demonstration that cannot be written.
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.display().to_string(),
            error,
        }
    }
}
