//! The unix socket at which a process waits for a new process: bound under a temporary name, then moved to the configured
//! one, so that one process answers there at every moment.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Permissions: only the process's own user may connect.
const MODE: u32 = 0o600;

/// Why a process cannot offer its sockets.
#[derive(Debug, Error)]
pub enum UpgradeSocketError {
    /// The system refused.
    #[error("cannot create the upgrade socket {} (upgrade_socket): {error}", .path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Another gateway listens there.
    #[error("a gateway is already running at {} (upgrade_socket): replace it with run --upgrade, or stop it first", .0.display())]
    Taken(PathBuf),
    /// The file is not a socket.
    #[error("{} is not a socket (upgrade_socket): remove it, or choose another path", .0.display())]
    NotASocket(PathBuf),
}

/// A listening unix socket and its file. The file is removed with it, unless another process owns it by then.
#[derive(Debug)]
pub(crate) struct UpgradeSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
    is_left_to_successor: bool,
}

impl UpgradeSocket {
    /// Listens under a temporary name: `path` followed by the process id.
    ///
    /// # Errors
    /// The system refused.
    pub(crate) fn bind_aside(path: &Path) -> Result<Self, UpgradeSocketError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let path = PathBuf::from(name);
        Self::bind(&path).map_err(|error| UpgradeSocketError::Unusable { path, error })
    }

    fn bind(path: &Path) -> io::Result<Self> {
        // A killed process with the same id may have left it.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        listener.set_nonblocking(true)?;
        let found = fs::symlink_metadata(path)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
            is_left_to_successor: false,
        })
    }

    /// Moves to `path`, and replaces a socket that is there.
    ///
    /// # Errors
    /// The system refused, or the file there is not a socket.
    pub(crate) fn move_to(&mut self, path: &Path) -> Result<(), UpgradeSocketError> {
        if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(UpgradeSocketError::NotASocket(path.to_owned()));
        }
        fs::rename(&self.path, path).map_err(|error| UpgradeSocketError::Unusable {
            path: path.to_owned(),
            error,
        })?;
        path.clone_into(&mut self.path);
        Ok(())
    }

    /// The same, unless a process answers at `path`.
    ///
    /// # Errors
    /// As [`UpgradeSocket::move_to`]; or a process answers there.
    pub(crate) fn move_to_unused(&mut self, path: &Path) -> Result<(), UpgradeSocketError> {
        if UnixStream::connect(path).is_ok() {
            return Err(UpgradeSocketError::Taken(path.to_owned()));
        }
        self.move_to(path)
    }

    /// The listener, for tokio.
    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }

    /// Leaves the file to the new process.
    pub(crate) fn leave_to_successor(mut self) {
        self.is_left_to_successor = true;
    }
}

impl Drop for UpgradeSocket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours && !self.is_left_to_successor {
            // A file that cannot be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}
