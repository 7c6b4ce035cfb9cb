//! Servers of HTTP+SSE as people run them: the Python SDK's, FastMCP's, and `server-everything`.

use e2e::process::binary::repository;
use e2e::process::tool::tool;
use e2e::process::{Process, port};
use serde_json::{Value, json};
use tokio::process::Command;

/// A kind of server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Python,
    FastMcp,
    Everything,
}

/// Every kind.
pub(super) const KINDS: [Kind; 3] = [Kind::Python, Kind::FastMcp, Kind::Everything];

/// A running server.
pub(super) struct Server {
    process: Process,
    port: u16,
}

impl Server {
    pub(super) async fn start(kind: Kind) -> Self {
        let port = port::free().port();
        let (command, ready) = match kind {
            Kind::Python => (python("sdk", port), "Uvicorn running"),
            Kind::FastMcp => (python("fastmcp", port), "Uvicorn running"),
            Kind::Everything => (everything(port), "Server is running on port"),
        };
        let process = Process::spawn(command);
        process.handle().line(ready).await;
        Self { process, port }
    }

    /// What a resource has as its upstream.
    pub(super) fn upstream(&self) -> Value {
        json!({ "url": format!("http://127.0.0.1:{}/sse", self.port), "transport": "sse" })
    }

    /// What it has written.
    pub(super) fn said(&self) -> String {
        self.process.handle().text()
    }
}

impl Kind {
    /// A tool that the policy of the tests hides.
    pub(super) const fn hidden(self) -> &'static str {
        match self {
            Self::Python | Self::FastMcp => "secret",
            Self::Everything => "get-env",
        }
    }
}

fn python(kind: &str, port: u16) -> Command {
    let mut command = tool("python");
    command
        .arg(repository("tests/clients/python/sse_server.py"))
        .args(["--kind", kind, "--port", &port.to_string()]);
    command
}

fn everything(port: u16) -> Command {
    let program =
        "tests/clients/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let mut command = tool("node");
    command
        .arg(repository(program))
        .arg("sse")
        .env("PORT", port.to_string());
    command
}
