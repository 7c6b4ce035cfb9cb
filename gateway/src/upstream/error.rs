//! Why an upstream cannot be set up, and why it did not answer.

use std::path::PathBuf;

use thiserror::Error;

use crate::config::files::{CertifiedKeyError, FileError};

/// Why an upstream cannot be set up.
#[derive(Debug, Error)]
pub(crate) enum UpstreamError {
    #[error("the upstream's URL cannot be used: {0}")]
    Url(String),
    #[error("the upstream's CA file {} {error}", path.display())]
    Authorities { path: PathBuf, error: FileError },
    #[error(
        "of the gateway's certificate for the upstream (resources.upstream.certificate_file), {0}"
    )]
    Certificate(CertifiedKeyError),
    #[error("the name {0} (resources.upstream.server_name) is not a host name or an IP address")]
    ServerName(String),
}

/// Why an upstream did not answer.
#[derive(Clone, Debug, Error)]
pub(crate) enum SendError {
    /// No connection could be opened.
    #[error("{0}")]
    Unreachable(String),
    /// The connection broke off, or the answer is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// A kept connection, over which another request was answered before, closed before the head of the answer: perhaps the
    /// upstream closed it as idle, just when it was used again.
    #[error("{why}")]
    Closed {
        why: String,
        /// The HTTP/2 connections that were open when the request was sent: those numbered below.
        before: u64,
    },
}

/// The answer of an upstream ended before it was complete.
#[derive(Debug, Error)]
#[error("the upstream's answer broke off")]
pub(crate) struct BrokenOff;
