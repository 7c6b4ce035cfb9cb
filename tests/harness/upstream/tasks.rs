//! The example MCP server as the real upstream.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;

use crate::process::Process;
use crate::process::binary::binary;
use crate::process::port;
use crate::upstream::relay::Relay;
use crate::{SOON, eventually};

/// A running task server with its own seed data.
pub struct Tasks {
    /// The relay in front of a server on a port.
    pub relay: Option<Relay>,
    address: Option<SocketAddr>,
    process: Process,
    _folder: TempDir,
}

impl Tasks {
    /// Starts one on a free port, behind a relay.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with these options in addition.
    pub async fn start_with(options: &[&str]) -> Self {
        let address = port::free();
        let place = address.to_string();
        let mut tasks = Self::spawn(&[&["--address", &place], options].concat());
        tasks.address = Some(address);
        eventually("the task server listens", async || {
            TcpStream::connect(address).await.is_ok()
        })
        .await;
        tasks.relay = Some(Relay::start(address).await);
        tasks
    }

    /// Starts one at this address, without a relay.
    pub async fn start_at(address: SocketAddr) -> Self {
        let tasks = Self::spawn(&["--address", &address.to_string()]);
        eventually("the task server listens", async || {
            TcpStream::connect(address).await.is_ok()
        })
        .await;
        tasks
    }

    /// Kills it.
    pub async fn kill(mut self) {
        self.process.signal("KILL");
        self.process.exit(SOON).await;
    }

    /// Starts one on a unix socket.
    pub async fn start_unix(socket: &Path) -> Self {
        let tasks = Self::spawn(&["--unix-socket", &socket.to_string_lossy()]);
        eventually("the task server listens", async || {
            UnixStream::connect(socket).await.is_ok()
        })
        .await;
        tasks
    }

    /// Its MCP endpoint, through the relay.
    pub fn url(&self) -> String {
        self.relay.as_ref().expect("it listens on a port").url()
    }

    /// Its MCP endpoint without the relay, which fails a test in which a credential arrives.
    pub fn own_url(&self) -> String {
        format!("http://{}/mcp", self.address.expect("it listens on a port"))
    }

    /// Everything it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }

    fn spawn(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(binary("upstream-tasks"));
        command
            .args(arguments)
            .arg("--data-file")
            .arg(folder.path().join("tasks.json"))
            .env_remove("RUST_LOG");
        Self {
            relay: None,
            address: None,
            process: Process::spawn(command),
            _folder: folder,
        }
    }
}
