//! A TCP proxy that gives each new connection to the next address: what a Service of Kubernetes does.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running balancer; it stops when dropped.
pub struct Balancer {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Balancer {
    /// One at `public` before these addresses.
    pub async fn start(public: SocketAddr, addresses: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind(public).await.expect("the port is free");
        let addresses = Arc::new(Mutex::new(addresses));
        let task = tokio::spawn(serve(listener, Arc::clone(&addresses)));
        Self { addresses, task }
    }

    /// Gives no connection to this address any more.
    pub fn forget(&self, gone: SocketAddr) {
        let mut addresses = self.addresses.lock().expect("no holder panics");
        addresses.retain(|address| *address != gone);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, addresses: Arc<Mutex<Vec<SocketAddr>>>) {
    let next = AtomicUsize::new(0);
    while let Ok((mut stream, _)) = listener.accept().await {
        let address = {
            let addresses = addresses.lock().expect("no holder panics");
            let number = next.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
            addresses.get(number).copied()
        };
        let Some(address) = address else { continue };
        tokio::spawn(async move {
            let mut target = TcpStream::connect(address).await.ok()?;
            copy_bidirectional(&mut stream, &mut target).await.ok()
        });
    }
}
