//! Why the demonstration cannot run.

use std::{io, net::SocketAddr, path::Path};

use thiserror::Error;

use crate::app::RunError;

/// Why the demonstration cannot run.
#[derive(Debug, Error)]
pub(super) enum DemoError {
    #[error(
        "demo cannot listen on {0}: it prints its tokens, so it listens on loopback addresses only (--address)"
    )]
    NotLoopback(SocketAddr),
    #[error(
        "demo cannot serve metrics on {0}: its admin listener is for loopback addresses only (--admin)"
    )]
    AdminNotLoopback(SocketAddr),
    #[error(
        "demo cannot listen on port 0: its tokens and commands contain the port. Choose one, for example --address {0}"
    )]
    NoPort(SocketAddr),
    #[error("{0}. Choose other addresses with --address and --admin")]
    Taken(RunError),
    #[error("cannot write {path}: {error}")]
    File { path: String, error: io::Error },
    #[error("cannot generate a key: {0}")]
    Key(String),
    #[error("cannot generate a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("the task server cannot start: {0}")]
    Tasks(String),
    #[error("the configuration of the demo is wrong; this is a defect of mcp-gateway: {0}")]
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
