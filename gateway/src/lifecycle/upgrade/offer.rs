//! The running process's side of an upgrade: it offers its listening sockets until a new process has taken them.

use std::{net::TcpListener, sync::Arc};

use async_trait::async_trait;
use pingora::{
    server::{ListenFds, ShutdownWatch},
    services::Service,
};
use tokio::{net::UnixListener, sync::mpsc};

use super::{hand_over, upgrade_socket::UpgradeSocket};
use crate::{authorization_server::store::Store, lifecycle::signals::EndReason, shared::Gateway};

/// Waits for a new process and hands the listening sockets over to it.
pub(crate) struct HandOverService {
    upgrade_socket: Option<UpgradeSocket>,
    sockets: Arc<[TcpListener]>,
    /// The store of the authorization server, if there is one.
    store: Option<Store>,
    gateway: Arc<Gateway>,
    ends: mpsc::Sender<EndReason>,
    /// The process does not exit while this holds its sockets and its upgrade socket.
    accepting: Option<Arc<()>>,
}

impl HandOverService {
    /// Offers `sockets` and `store` at `upgrade_socket`; sends to `ends` when they are handed over.
    pub(crate) fn new(
        upgrade_socket: UpgradeSocket,
        sockets: Vec<TcpListener>,
        store: Option<Store>,
        gateway: Arc<Gateway>,
        ends: mpsc::Sender<EndReason>,
    ) -> Self {
        Self {
            upgrade_socket: Some(upgrade_socket),
            sockets: sockets.into(),
            store,
            accepting: Some(gateway.process_state().accepting()),
            gateway,
            ends,
        }
    }

    /// Waits until a new process has the sockets or this process drains.
    async fn offer(&self, upgrade_socket: UpgradeSocket) {
        let mut draining = self.gateway.process_state().draining();
        match upgrade_socket.listener() {
            Ok(listener) => tokio::select! {
                () = self.wait_for_successor(&listener) => {
                    tracing::info!("upgrade complete: the new process has the listening sockets");
                    self.gateway.process_state().hand_over();
                    // A full channel has a shutdown request already.
                    let _ = self.ends.try_send(EndReason::HandedOver);
                    // The path belongs to the new process now.
                    upgrade_socket.leave_to_successor();
                }
                _ = draining.wait_for(|draining| *draining) => {}
            },
            Err(error) => tracing::error!("upgrade socket failed (upgrade_socket): {error}"),
        }
    }

    /// Serves one new process after the other until one has confirmed.
    async fn wait_for_successor(&self, listener: &UnixListener) {
        loop {
            match listener.accept().await {
                Ok((successor, _)) => {
                    if self.hand_over_to(successor).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        "cannot accept a connection on the upgrade socket (upgrade_socket): {error}"
                    );
                    tokio::time::sleep(hand_over::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn hand_over_to(&self, successor: tokio::net::UnixStream) -> bool {
        let (sockets, store) = (self.sockets.clone(), self.store.clone());
        let handed_over = tokio::task::spawn_blocking(move || {
            let mut successor = hand_over::authenticate_peer(successor.into_std()?)?;
            hand_over::send_sockets(&mut successor, &sockets, store.as_ref())
        });
        match handed_over.await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!("upgrade aborted: this process keeps serving: {error}");
                false
            }
            Err(_) => false,
        }
    }
}

#[async_trait]
impl Service for HandOverService {
    async fn start_service(&mut self, _: Option<ListenFds>, _: ShutdownWatch, _: usize) {
        if let Some(upgrade_socket) = self.upgrade_socket.take() {
            self.offer(upgrade_socket).await;
        }
        // A socket that is still held here would queue connections that are never accepted.
        self.sockets = Arc::new([]);
        self.accepting = None;
    }

    fn name(&self) -> &str {
        "upgrade"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}
