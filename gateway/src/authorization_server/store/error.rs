//! Why a store cannot be opened. Each sentence says what to do.

use std::{io, path::PathBuf};

use mcp_gateway_oauth::store::rows::StoreError;
use redb::{DatabaseError, StorageError};
use thiserror::Error;

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error("{} cannot be used as a directory: {error}", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Others may read or write in the directory.
    #[error(
        "the directory {} can be used by others (mode {mode:04o}): make it private with `chmod 700 {}`, or name a \
         new directory, which the gateway creates",
        path.display(), path.display()
    )]
    Exposed {
        /// The path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Another process has the store open.
    #[error("another process uses the store: stop it first, or replace it with run --upgrade")]
    InUse,
    /// Another process uses the directory, beside a store that several processes share.
    #[error(
        "another gateway uses the directory: give each its own, or replace that one with run --upgrade"
    )]
    DirectoryInUse,
    /// The file is something else.
    #[error(
        "the file is not a store of mcp-gateway, or its beginning is damaged: restore it from a backup, or move it away"
    )]
    Foreign,
    /// The file was changed by something else than this program, or the disk lost a part of it.
    #[error(
        "the store is damaged ({0}): restore it from a backup, or move it away. Without it, clients register again and people \
         sign in again"
    )]
    Damaged(String),
    /// A newer version of the program wrote it.
    #[error(
        "the store has version {found}, this program knows versions up to {known}: start the newer program"
    )]
    Newer {
        /// The version of the store.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// A step from one version to the next failed.
    #[error("the store cannot be migrated from version {from} to {to}: {error}")]
    Migration {
        /// The version of the store.
        from: u32,
        /// The next version.
        to: u32,
        /// The reason.
        error: StoreError,
    },
    /// The system refused to read or write the file.
    #[error("the store cannot be read or written: {0}")]
    Failed(String),
    /// A store that several processes share does not answer, or refuses.
    #[error("the store cannot be reached (authorization_server.store): {0}")]
    Unreachable(String),
    /// The file of this store.
    #[error("{}: {error}", path.display())]
    At {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        #[source]
        error: Box<Self>,
    },
}

impl OpenError {
    /// The store was opened, and cannot be read or written.
    pub(crate) fn failed(error: StoreError) -> Self {
        match error {
            StoreError::Failed(problem) => Self::Failed(problem),
            StoreError::Row { .. } | StoreError::Undecided => Self::Damaged(error.to_string()),
        }
    }

    /// Whether another process has the store open.
    pub(crate) fn is_in_use(&self) -> bool {
        match self {
            Self::InUse => true,
            Self::At { error, .. } => error.is_in_use(),
            _ => false,
        }
    }

    /// The error of a file.
    pub(crate) fn at(self, path: impl Into<PathBuf>) -> Self {
        Self::At {
            path: path.into(),
            error: Box::new(self),
        }
    }
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => Self::InUse,
            DatabaseError::Storage(error) => error.into(),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io(error) => error.into(),
            StorageError::Corrupted(problem) => Self::Damaged(problem),
            error => Self::Failed(error.to_string()),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // So redb reports a file that does not begin as its files do.
            io::ErrorKind::InvalidData => Self::Foreign,
            io::ErrorKind::UnexpectedEof => Self::Damaged("its end is missing".to_owned()),
            _ => Self::Failed(error.to_string()),
        }
    }
}
