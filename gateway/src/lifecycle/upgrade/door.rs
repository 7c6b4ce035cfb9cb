//! The unix socket at which a process waits for its successor: bound under a name of its own, then moved to the one that
//! is configured, so that there is always one process that answers there and never none.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Only the process's own user may connect.
const MODE: u32 = 0o600;

/// Why a process cannot wait for a successor.
#[derive(Debug, Error)]
pub enum DoorError {
    /// The system refuses.
    #[error("cannot make the upgrade socket {}: {error}", .path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process waits there.
    #[error("a gateway runs already at {}: replace it with run --upgrade, or end it first", .0.display())]
    Taken(PathBuf),
    /// Something that is no socket stands there.
    #[error("{} is no socket: remove it, or choose another upgrade_socket", .0.display())]
    NoSocket(PathBuf),
}

/// A listening unix socket, and the file it stands at. The file goes with it, unless it is another's by then.
#[derive(Debug)]
pub(crate) struct Door {
    listener: UnixListener,
    at: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
    is_left: bool,
}

impl Door {
    /// Listens under a name that nobody asks for yet: `path` with the process id behind it.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn build(path: &Path) -> Result<Self, DoorError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let at = PathBuf::from(name);
        Self::listen(&at).map_err(|error| DoorError::Unusable { path: at, error })
    }

    fn listen(at: &Path) -> io::Result<Self> {
        // A process of the same id that was killed may have left it.
        match fs::remove_file(at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(at)?;
        fs::set_permissions(at, fs::Permissions::from_mode(MODE))?;
        listener.set_nonblocking(true)?;
        let found = fs::symlink_metadata(at)?;
        Ok(Self {
            listener,
            at: at.to_owned(),
            identity: (found.dev(), found.ino()),
            is_left: false,
        })
    }

    /// Moves to `path`, in place of whatever socket is there.
    ///
    /// # Errors
    /// The system refuses, or what is there is no socket.
    pub(crate) fn open(&mut self, path: &Path) -> Result<(), DoorError> {
        if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            return Err(DoorError::NoSocket(path.to_owned()));
        }
        fs::rename(&self.at, path).map_err(|error| DoorError::Unusable {
            path: path.to_owned(),
            error,
        })?;
        path.clone_into(&mut self.at);
        Ok(())
    }

    /// The same, unless a process answers at `path`.
    ///
    /// # Errors
    /// As [`Door::open`]; or a process answers there.
    pub(crate) fn open_first(&mut self, path: &Path) -> Result<(), DoorError> {
        if UnixStream::connect(path).is_ok() {
            return Err(DoorError::Taken(path.to_owned()));
        }
        self.open(path)
    }

    /// The listener, for an event loop.
    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }

    /// Leaves the file to a successor.
    pub(crate) fn leave(mut self) {
        self.is_left = true;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.at)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if is_ours && !self.is_left {
            // One that stays is replaced at the next start.
            let _ = fs::remove_file(&self.at);
        }
    }
}
