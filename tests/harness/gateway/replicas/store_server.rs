//! A server for the shared store: Debian's `redis-server` or `valkey-server`, on a free port, with nothing on disk.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::eventually;
use crate::process::{Process, port};

/// The servers that the store must work with.
pub const KINDS: [&str; 2] = ["redis-server", "valkey-server"];

/// A running server; it is killed when dropped.
pub struct StoreServer {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl StoreServer {
    /// Starts one of [`KINDS`].
    pub async fn start(kind: &str) -> Self {
        let address = port::free();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(kind);
        command
            .args(["--port", &address.port().to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(folder.path());
        let mut process = Process::spawn(command);
        eventually(&format!("{kind} answers"), async || {
            assert!(process.runs(), "{}", process.output());
            answers(address).await.is_some()
        })
        .await;
        Self {
            address,
            process,
            _folder: folder,
        }
    }

    /// The URL for `authorization_server.store.redis.url`.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Stops answering until [`Self::go_on`].
    pub fn stall(&self) {
        self.process.signal("STOP");
    }

    /// Answers again.
    pub fn go_on(&self) {
        self.process.signal("CONT");
    }
}

/// The URL of a server, or of a proxy before it.
pub fn url(address: SocketAddr) -> String {
    format!("redis://{address}/0")
}

async fn answers(address: SocketAddr) -> Option<()> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"PING\r\n").await.ok()?;
    let mut answer = [0; 7];
    let read = stream.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_secs(1), read)
        .await
        .ok()?
        .ok()?;
    (&answer == b"+PONG\r\n").then_some(())
}
