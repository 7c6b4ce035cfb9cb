//! Runs the tasks that refresh the keys of all issuers, including issuers that a reload adds.

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinSet};

use crate::issuer_keys::keys::IssuerKeys;

/// Orders that may wait; at this limit a sender waits.
const MAX_WAITING_ORDERS: usize = 64;

/// An order about an issuer's keys.
#[derive(Debug)]
pub(crate) enum RefreshOrder {
    /// Refresh them regularly from now on.
    Start(Arc<IssuerKeys>),
    /// Fetch them at once.
    FetchNow(Arc<IssuerKeys>),
}

/// A channel of orders.
pub(crate) fn orders() -> (mpsc::Sender<RefreshOrder>, mpsc::Receiver<RefreshOrder>) {
    mpsc::channel(MAX_WAITING_ORDERS)
}

/// Refreshes these keys regularly and carries out orders, until the channel is closed and every task has ended.
pub(crate) async fn refresh_keys(
    first: Vec<Arc<IssuerKeys>>,
    mut orders: mpsc::Receiver<RefreshOrder>,
) {
    let mut tasks: JoinSet<()> = first.into_iter().map(IssuerKeys::run).collect();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(RefreshOrder::Start(keys)) => _ = tasks.spawn(keys.run()),
                Some(RefreshOrder::FetchNow(keys)) => _ = tasks.spawn(keys.refresh()),
                None => break,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}
