//! Replacing the running process without a refused connection: the new process gets the sockets that clients connect to.
//!
//! The running process listens on a unix socket. A new process that has loaded and checked everything connects to it,
//! receives the listening sockets, and confirms them; only then does the running process stop accepting and drain.
//! Connections in a socket's queue wait for the new process: no socket is closed and bound again. A failure before the
//! confirmation changes nothing in the running process.

mod hand_over;
mod offer;
mod upgrade_socket;

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::Path,
};

pub(crate) use hand_over::HandOverError;
pub(crate) use offer::HandOverService;
pub(crate) use upgrade_socket::{UpgradeSocket, UpgradeSocketError};

/// The sockets a process starts with: those of the previous process, or none.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets {
    sockets: Vec<TcpListener>,
    predecessor: Option<UnixStream>,
}

impl InheritedSockets {
    /// Requests the sockets of the process that listens at `path`.
    ///
    /// # Errors
    /// No process listens there, or it does not send its sockets.
    pub(crate) fn take_over(path: &Path) -> Result<Self, HandOverError> {
        let mut predecessor = hand_over::connect(path)?;
        let sockets = hand_over::receive_sockets(&mut predecessor)?;
        Ok(Self {
            sockets,
            predecessor: Some(predecessor),
        })
    }

    /// Asks the previous process to close its store, and waits until it has. It opens the store again unless this process confirms.
    ///
    /// # Errors
    /// The previous process has given up: it keeps serving.
    pub(crate) fn request_store(&mut self) -> Result<(), HandOverError> {
        let predecessor = self.predecessor.as_mut();
        predecessor.map_or(Ok(()), hand_over::request_store)
    }

    /// Whether no sockets were taken over.
    pub(crate) const fn is_empty(&self) -> bool {
        self.predecessor.is_none()
    }

    /// The socket bound to `address`, if there is one. Each is returned once.
    pub(crate) fn take_socket(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let bound = |socket: &TcpListener| socket.local_addr().is_ok_and(|bound| bound == address);
        let index = self.sockets.iter().position(bound)?;
        Some(self.sockets.swap_remove(index))
    }

    /// Confirms the hand-over to the previous process, which then drains, and closes the sockets that were not used.
    ///
    /// # Errors
    /// The previous process has given up: it keeps serving, so this process must not serve.
    pub(crate) fn confirm(self) -> Result<(), HandOverError> {
        self.predecessor.map_or(Ok(()), hand_over::confirm_taken)
    }
}
