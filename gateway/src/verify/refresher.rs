//! Where the tasks of all issuers run, those that come with a new configuration too.

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinSet};

use crate::verify::keys::IssuerKeys;

/// Orders that wait to be carried out; whoever gives more of them waits.
const WAITING_ORDERS: usize = 64;

/// Something to do about an issuer's keys.
#[derive(Debug)]
pub(crate) enum Order {
    /// Keep them fresh from now on.
    Keep(Arc<IssuerKeys>),
    /// Fetch them anew.
    Refresh(Arc<IssuerKeys>),
}

/// A way to give orders, and where they arrive.
pub(crate) fn orders() -> (mpsc::Sender<Order>, mpsc::Receiver<Order>) {
    mpsc::channel(WAITING_ORDERS)
}

/// Keeps these keys fresh, and does what is ordered. Ends never, as long as orders may come.
pub(crate) async fn keep(first: Vec<Arc<IssuerKeys>>, mut orders: mpsc::Receiver<Order>) {
    let mut tasks: JoinSet<()> = first.into_iter().map(IssuerKeys::run).collect();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Keep(keys)) => _ = tasks.spawn(keys.run()),
                Some(Order::Refresh(keys)) => _ = tasks.spawn(keys.refresh()),
                None => break,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}
