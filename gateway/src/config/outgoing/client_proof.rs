//! How the gateway authenticates as a client of an authorization server.

use std::path::PathBuf;

/// How the gateway authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientProofFile {
    /// It does not.
    None,
    /// With the secret in this file, in the `Authorization` header.
    Basic(PathBuf),
    /// With the secret in this file, in the form.
    Post(PathBuf),
    /// With assertions that the key in this file signs.
    Key {
        /// The file of the key: PKCS #8 in PEM.
        file: PathBuf,
        /// How the authorization server names the key.
        id: Option<String>,
    },
}

impl ClientProofFile {
    /// The file, if there is one.
    pub const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::None => None,
            Self::Basic(file) | Self::Post(file) | Self::Key { file, .. } => Some(file),
        }
    }
}
