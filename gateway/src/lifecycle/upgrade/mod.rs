//! Replacing the running process without a refused connection: the successor gets the very sockets clients connect to.
//!
//! The running process listens on a unix socket. A successor that has loaded and checked everything connects to it, takes
//! the listening sockets, and says that it has them; only then does the running process stop accepting and drain. What
//! waits in a socket's queue waits for the successor: nothing is closed and bound again. Whatever fails before that word
//! leaves the running process as it was.

mod door;
mod hand_over;

use std::{
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
};

use async_trait::async_trait;
use pingora::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use tokio::{net::UnixListener, sync::mpsc};

pub(crate) use door::{Door, DoorError};
pub(crate) use hand_over::HandOverError;

use crate::{gateway::Gateway, lifecycle::signals::End};

/// The sockets a process starts with: what its predecessor gave it, or none.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    sockets: Vec<TcpListener>,
    predecessor: Option<UnixStream>,
}

impl Inherited {
    /// Asks the process that answers at `path` for its sockets.
    ///
    /// # Errors
    /// Nothing runs there, or what runs there does not give them.
    pub(crate) fn from(path: &Path) -> Result<Self, HandOverError> {
        let mut predecessor = hand_over::connect(path)?;
        let sockets = hand_over::take(&mut predecessor)?;
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
    pub(crate) fn socket(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let bound = |socket: &TcpListener| socket.local_addr().is_ok_and(|bound| bound == address);
        let index = self.sockets.iter().position(bound)?;
        Some(self.sockets.swap_remove(index))
    }

    /// Tells the predecessor that it may end, and closes the sockets that nobody asked for.
    ///
    /// # Errors
    /// The predecessor has given up: it goes on, so this process must not.
    pub(crate) fn confirm(self) -> Result<(), HandOverError> {
        self.predecessor.map_or(Ok(()), hand_over::confirm)
    }
}

/// Waits for a successor and gives it the listening sockets.
pub(crate) struct Predecessor {
    door: Option<Door>,
    sockets: Arc<[TcpListener]>,
    gateway: Arc<Gateway>,
    ends: mpsc::Sender<End>,
    /// The process does not end while its sockets and its door are held here.
    holding: Option<Arc<()>>,
}

impl Predecessor {
    /// Offers `sockets` at `door`; tells `ends` when they are given.
    pub(crate) fn new(
        door: Door,
        sockets: Vec<TcpListener>,
        gateway: Arc<Gateway>,
        ends: mpsc::Sender<End>,
    ) -> Self {
        Self {
            door: Some(door),
            sockets: sockets.into(),
            holding: Some(gateway.accepting()),
            gateway,
            ends,
        }
    }

    /// Waits at `door` until a successor has the sockets or this process drains.
    async fn offer(&self, door: Door) {
        let mut draining = self.gateway.draining();
        match door.listener() {
            Ok(listener) => tokio::select! {
                () = self.wait(&listener) => {
                    tracing::info!("a successor has the sockets: it accepts from now on");
                    self.gateway.hand_over();
                    // A full channel has said it already.
                    let _ = self.ends.try_send(End::HandedOver);
                    // The path is the successor's now.
                    door.leave();
                }
                _ = draining.wait_for(|draining| *draining) => {}
            },
            Err(error) => tracing::error!("the upgrade socket cannot be used: {error}"),
        }
    }

    /// Serves one successor after the other until one has everything.
    async fn wait(&self, door: &UnixListener) {
        loop {
            match door.accept().await {
                Ok((successor, _)) => {
                    if self.give(successor).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!("a successor could not be heard: {error}");
                    tokio::time::sleep(hand_over::PAUSE).await;
                }
            }
        }
    }

    async fn give(&self, successor: tokio::net::UnixStream) -> bool {
        let sockets = self.sockets.clone();
        let given = tokio::task::spawn_blocking(move || {
            let mut successor = hand_over::heard(successor.into_std()?)?;
            hand_over::give(&mut successor, &sockets)
        });
        match given.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!("an upgrade came to nothing, this process goes on: {error}");
                false
            }
            Err(_) => false,
        }
    }
}

#[async_trait]
impl Service for Predecessor {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some(door) = self.door.take() {
            self.offer(door).await;
        }
        // A socket that is held here would go on collecting connections which nobody accepts.
        self.sockets = Arc::new([]);
        self.holding = None;
    }

    fn name(&self) -> &str {
        "upgrade"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}
