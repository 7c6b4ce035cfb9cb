//! The program's flags, each also an environment variable; a flag wins.

use std::{net::SocketAddr, path::PathBuf};

use axum::http::HeaderName;
use clap::{Args, Parser};
use upstream_tasks::{KeySource, McpPath, RequiredAssertion};

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
    #[command(flatten)]
    pub(crate) assertion: AssertionArguments,
}

/// Signed assertions of the gateway, which calls must have.
#[derive(Args)]
pub(crate) struct AssertionArguments {
    /// Refuse calls without a signed assertion of the gateway; its keys are at this URL or in this file
    #[arg(
        long,
        env = "UPSTREAM_TASKS_REQUIRE_ASSERTION",
        value_name = "JWKS_URL|FILE",
        requires = "assertion_audience"
    )]
    require_assertion: Option<KeySource>,
    /// The audience of the assertions: the URL of this server in the gateway's configuration
    #[arg(
        long,
        env = "UPSTREAM_TASKS_ASSERTION_AUDIENCE",
        value_name = "AUDIENCE",
        requires = "require_assertion"
    )]
    assertion_audience: Option<String>,
    /// The issuer of the assertions: the public URL of the gateway [default: any that the keys sign]
    #[arg(
        long,
        env = "UPSTREAM_TASKS_ASSERTION_ISSUER",
        value_name = "ISSUER",
        requires = "require_assertion"
    )]
    assertion_issuer: Option<String>,
    /// The header that has the assertion
    #[arg(
        long,
        env = "UPSTREAM_TASKS_ASSERTION_HEADER",
        value_name = "HEADER",
        default_value = "x-gateway-assertion"
    )]
    assertion_header: HeaderName,
}

impl AssertionArguments {
    /// What is required of calls; none without the flag.
    pub(crate) fn required(self) -> Option<RequiredAssertion> {
        Some(RequiredAssertion {
            keys: self.require_assertion?,
            audience: self.assertion_audience?,
            issuer: self.assertion_issuer,
            header: self.assertion_header,
        })
    }
}
