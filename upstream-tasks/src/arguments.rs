//! The program's flags, each also an environment variable; a flag wins.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;
use upstream_tasks::McpPath;

/// A complete MCP task server without authentication, to run behind mcp-gateway.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// TCP address to listen on
    #[arg(long, env = "UPSTREAM_TASKS_ADDRESS", default_value = "127.0.0.1:9000")]
    pub(crate) address: SocketAddr,
    /// Unix socket to listen on, instead of the TCP address
    #[arg(long, env = "UPSTREAM_TASKS_UNIX_SOCKET", conflicts_with = "address")]
    pub(crate) unix_socket: Option<PathBuf>,
    /// Path of the MCP endpoint
    #[arg(long, env = "UPSTREAM_TASKS_PATH", default_value_t)]
    pub(crate) path: McpPath,
    /// File that holds the tasks; created with sample tasks when it does not exist
    #[arg(long, env = "UPSTREAM_TASKS_DATA_FILE", default_value = "tasks.json")]
    pub(crate) data_file: PathBuf,
    /// Host name accepted in addition to localhost, 127.0.0.1 and ::1 (repeat, or separate by commas)
    #[arg(
        long = "allowed-host",
        env = "UPSTREAM_TASKS_ALLOWED_HOSTS",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(crate) allowed_hosts: Vec<String>,
}
