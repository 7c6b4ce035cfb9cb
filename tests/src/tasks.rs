//! The example MCP server as the real upstream.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;

use crate::binary::binary;
use crate::process::Process;
use crate::{eventually, port};

/// A running task server with seed data of its own.
pub struct Tasks {
    process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

impl Tasks {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let address = port::free();
        let tasks = Self::spawn(&["--address", &address.to_string()], address);
        eventually("the task server listens", async || {
            TcpStream::connect(address).await.is_ok()
        })
        .await;
        tasks
    }

    /// Starts one on a unix socket.
    pub async fn start_unix(socket: &Path) -> Self {
        let tasks = Self::spawn(&["--unix-socket", &socket.to_string_lossy()], port::free());
        eventually("the task server listens", async || {
            UnixStream::connect(socket).await.is_ok()
        })
        .await;
        tasks
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Everything it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }

    fn spawn(arguments: &[&str], address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(binary("upstream-tasks"));
        command
            .args(arguments)
            .arg("--data-file")
            .arg(folder.path().join("tasks.json"))
            .env_remove("RUST_LOG");
        Self {
            process: Process::spawn(command),
            address,
            _folder: folder,
        }
    }
}
