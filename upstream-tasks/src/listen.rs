//! The listening socket: a TCP address or a unix socket.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener, UnixStream};

/// A bound socket. A unix socket's file is removed when the listener is dropped or its server ends.
#[derive(Debug)]
pub struct Listener {
    pub(crate) socket: Socket,
    address: BoundAddress,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The address of a listener; for port 0 with the port that the system chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The file of a unix socket.
    Unix(PathBuf),
}

impl Listener {
    /// Binds a TCP address; port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// [`ListenError`] when the address is in use or not an address of this machine.
    pub async fn bind_tcp(address: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source| ListenError {
            address: BoundAddress::Tcp(address),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = BoundAddress::Tcp(listener.local_addr().map_err(failed)?);
        Ok(Self {
            socket: Socket::Tcp(listener),
            address,
        })
    }

    /// Binds a unix socket. A socket file that a dead process left is replaced; any other file at that path is
    /// not touched.
    ///
    /// # Errors
    ///
    /// [`ListenError`] when another process listens there, or the file cannot be created.
    pub async fn bind_unix(path: impl AsRef<Path>) -> Result<Self, ListenError> {
        let path = path.as_ref();
        let address = BoundAddress::Unix(path.to_owned());
        let failed = |source| ListenError {
            address: address.clone(),
            source,
        };
        remove_dead(path).await.map_err(failed)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        Ok(Self {
            socket: Socket::Unix(listener, SocketFile(path.to_owned())),
            address,
        })
    }

    /// The address of this listener.
    #[must_use]
    pub fn address(&self) -> &BoundAddress {
        &self.address
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    address: BoundAddress,
    source: io::Error,
}

/// The file of a unix socket, removed with its listener.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Removes a socket file on which no process listens: binding never does that by itself.
async fn remove_dead(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_tcp_address_is_named() {
        let first = Listener::bind_tcp("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let BoundAddress::Tcp(address) = *first.address() else {
            panic!("not TCP")
        };
        let error = Listener::bind_tcp(address).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {address}: ")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_dead_socket_file_is_replaced_and_the_own_one_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listener = Listener::bind_unix(&path).await.unwrap();
        assert!(
            Listener::bind_unix(&path).await.is_err(),
            "a socket in use is not replaced"
        );
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.txt");
        fs::write(&path, "keep me").unwrap();
        assert!(Listener::bind_unix(&path).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "keep me");
    }
}
