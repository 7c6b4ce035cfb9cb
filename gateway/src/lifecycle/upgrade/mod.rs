//! Replacing the running process without a refused connection: the successor gets the very sockets clients connect to.
//!
//! The running process listens on a unix socket. A successor that has loaded and checked everything connects to it, takes
//! the listening sockets, and says that it has them; only then does the running process stop accepting and drain. What
//! waits in a socket's queue waits for the successor: nothing is closed and bound again. A failure before that word leaves
//! the running process as it was.

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

/// The sockets a process starts with: what its predecessor gave it, or none.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets {
    sockets: Vec<TcpListener>,
    predecessor: Option<UnixStream>,
}

impl InheritedSockets {
    /// Asks the process that answers at `path` for its sockets.
    ///
    /// # Errors
    /// No process runs there, or it does not give them.
    pub(crate) fn take_over(path: &Path) -> Result<Self, HandOverError> {
        let mut predecessor = hand_over::connect(path)?;
        let sockets = hand_over::receive_sockets(&mut predecessor)?;
        Ok(Self {
            sockets,
            predecessor: Some(predecessor),
        })
    }

    /// Whether there is no predecessor.
    pub(crate) const fn is_empty(&self) -> bool {
        self.predecessor.is_none()
    }

    /// The socket that is bound to `address`, if there is one. Each is given out once.
    pub(crate) fn take_socket(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let bound = |socket: &TcpListener| socket.local_addr().is_ok_and(|bound| bound == address);
        let index = self.sockets.iter().position(bound)?;
        Some(self.sockets.swap_remove(index))
    }

    /// Confirms to the predecessor that it may end, and closes the sockets that were not asked for.
    ///
    /// # Errors
    /// The predecessor has given up: it goes on, so this process must not.
    pub(crate) fn confirm(self) -> Result<(), HandOverError> {
        self.predecessor.map_or(Ok(()), hand_over::confirm_taken)
    }
}
