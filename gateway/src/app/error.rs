//! Why the gateway cannot run.

use std::{net::SocketAddr, path::PathBuf};

use mcp_gateway_core::{seal::SealingTestError, token::SelfTestError};
use thiserror::Error;

use crate::{
    downstream::tls::TlsError,
    lifecycle::{
        reload::certificates::CertificatesError,
        upgrade::{HandOverError, UpgradeSocketError},
    },
};

/// Why the gateway cannot run. The process ends with exit code 1.
#[derive(Debug, Error)]
pub enum RunError {
    /// An address is taken, or not allowed.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// A listener's certificates cannot be used.
    #[error("cannot serve TLS on {address}: {error}")]
    Tls {
        /// The listener.
        address: SocketAddr,
        /// What is wrong with its certificates.
        error: TlsError,
    },
    /// A file the configuration names cannot be used any more.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// The cryptography does not do what it must.
    #[error("the start-up self-test failed: {0}")]
    SelfTest(#[from] SelfTestError),
    /// Sealing does not do what it must.
    #[error("the start-up self-test failed: {0}")]
    Sealing(#[from] SealingTestError),
    /// The running process cannot be replaced; it goes on.
    #[error(
        "upgrade aborted: cannot take over the listening sockets (upgrade_socket {path}): {error}"
    )]
    Upgrade {
        /// The upgrade socket.
        path: PathBuf,
        /// Why.
        error: HandOverError,
    },
    /// Replacing was asked for, but nothing says where.
    #[error(
        "--upgrade requires upgrade_socket in the configuration, with the same path as in the running process's"
    )]
    NoUpgradeSocket,
    /// An issuer's keys cannot be fetched, so this process could not do what the running one does.
    #[error(
        "upgrade aborted: the keys of issuer {0} cannot be fetched, the running process keeps serving. \
         Retry when the issuer is available, or stop the running process and start without --upgrade"
    )]
    KeysUnavailable(String),
    /// A signal came while this process began; the running one goes on.
    #[error(
        "upgrade aborted: this process received a signal to shut down, the running process keeps serving"
    )]
    Ended,
    /// Decisions could not be recorded.
    #[error("audit.file {path} cannot be written: {error}", path = path.display())]
    Audit {
        /// Where lines were to go.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A successor could not replace this process.
    #[error(transparent)]
    UpgradeSocket(#[from] UpgradeSocketError),
    /// The process cannot be set up.
    #[error("cannot start: {0}")]
    Start(String),
}

impl From<CertificatesError> for RunError {
    fn from(error: CertificatesError) -> Self {
        let CertificatesError { address, error } = error;
        Self::Tls { address, error }
    }
}
