//! Why the gateway cannot run.

use std::{net::SocketAddr, path::PathBuf};

use mcp_gateway_core::{seal::SealingTestError, token::SelfTestError};
use thiserror::Error;

use crate::{
    authorization_server::store::OpenError,
    downstream::tls::TlsError,
    lifecycle::{
        reload::certificates::CertificatesError,
        upgrade::{HandOverError, UpgradeSocketError},
    },
};

/// Why the gateway cannot run. The process ends with exit code 1.
#[derive(Debug, Error)]
pub enum RunError {
    /// The address is in use, or not allowed.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
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
    /// A file that the configuration names cannot be used any more.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// A signature check does not give the expected result.
    #[error("the start-up self-test failed: {0}")]
    SelfTest(#[from] SelfTestError),
    /// Sealing does not give the expected result.
    #[error("the start-up self-test failed: {0}")]
    Sealing(#[from] SealingTestError),
    /// The sockets of the running process cannot be taken over; it keeps serving.
    #[error(
        "upgrade aborted: cannot take over the listening sockets (upgrade_socket {path}): {error}"
    )]
    Upgrade {
        /// The upgrade socket.
        path: PathBuf,
        /// The reason.
        error: HandOverError,
    },
    /// `--upgrade` was given, but the configuration has no upgrade socket.
    #[error(
        "--upgrade requires upgrade_socket in the configuration, with the same path as in the running process's"
    )]
    NoUpgradeSocket,
    /// An issuer's keys cannot be fetched: unlike the running process, this one could not verify its tokens. The running one
    /// keeps serving.
    #[error(
        "upgrade aborted: the keys of issuer {0} cannot be fetched, the running process keeps serving. \
         Retry when the issuer is available, or stop the running process and start without --upgrade"
    )]
    KeysUnavailable(String),
    /// This process received a signal during its start; the running one keeps serving.
    #[error(
        "upgrade aborted: this process received a signal to shut down, the running process keeps serving"
    )]
    Ended,
    /// The store of the authorization server cannot be opened.
    #[error(
        "cannot use the store of the authorization server (authorization_server.directory {}): {error}",
        directory.display()
    )]
    Store {
        /// The directory of its state.
        directory: PathBuf,
        /// The reason.
        error: OpenError,
    },
    /// The audit log cannot be opened, so decisions could not be recorded.
    #[error("audit.file {path} cannot be written: {error}", path = path.display())]
    Audit {
        /// The path of the audit log.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The upgrade socket cannot be used, so `run --upgrade` could not replace this process.
    #[error(transparent)]
    UpgradeSocket(#[from] UpgradeSocketError),
    /// The system refused a resource, such as a thread or a runtime.
    #[error("cannot start: {0}")]
    Start(String),
}

impl From<CertificatesError> for RunError {
    fn from(error: CertificatesError) -> Self {
        let CertificatesError { address, error } = error;
        Self::Tls { address, error }
    }
}
