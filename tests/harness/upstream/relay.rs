//! A relay between the gateway and a real upstream: it forwards every byte, records what is sent to the upstream, and
//! fails the test at its end if a credential was among it (`tests/attacks.md` 43).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::leaks;

/// A running relay.
pub struct Relay {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Relays a free port to `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
        let record = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relay(client, target, Arc::clone(&record)));
            }
        });
        Self {
            address,
            sent,
            task,
        }
    }

    /// The MCP endpoint through the relay.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Everything sent to the upstream so far.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().expect("no holder panics")).into_owned()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        if std::thread::panicking() {
            return;
        }
        let sent = self.sent();
        let others = leaks::without_assertions(&sent);
        assert_eq!(leaks::find(&others), None, "a token reached the upstream");
        for line in sent.lines().map(str::to_ascii_lowercase) {
            let name = line.split(':').next().unwrap_or_default();
            assert!(
                !["authorization", "cookie", "proxy-authorization"].contains(&name),
                "{line} reached the upstream"
            );
        }
    }
}

async fn relay(client: TcpStream, target: SocketAddr, record: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let keep = move |bytes: &[u8]| record.lock().expect("no holder panics").extend(bytes);
    // The first side that ends also ends the other: a half-open relay would hide a disconnect.
    tokio::select! {
        () = pass(from_client, to_server, keep) => {}
        () = pass(from_server, to_client, |_| {}) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        keep(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Call, http, initialize};
    use crate::upstream::Upstream;

    #[tokio::test]
    #[should_panic(expected = "cookie: sid=1 reached the upstream")]
    async fn a_credential_in_a_forwarded_request_fails_the_test() {
        let upstream = Upstream::start().await;
        let relay = Relay::start(upstream.address()).await;
        // The recording upstream would fail the test first.
        let _forget = std::mem::ManuallyDrop::new(upstream);
        Call::post(&http(), relay.url(), initialize())
            .with("cookie", "sid=1")
            .send()
            .await;
    }
}
