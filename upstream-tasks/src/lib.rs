//! A complete MCP task server without authentication: the example upstream of mcp-gateway.
//!
//! It supports Streamable HTTP in both eras (2025-11-25 with sessions, 2026-07-28 without). It trusts the gateway's identity
//! headers, so only the gateway should be able to reach it; or it requires signed assertions of the gateway, and trusts
//! these alone. The modules, in the order of a request:
//!
//! - [`listen`](Listener): TCP or a unix socket;
//! - [`serve`](mod@serve): the HTTP endpoint, its limits, and its shutdown;
//! - `assertion`: whether the gateway vouches for the call, where that is required;
//! - `server`: the server's capabilities, and the handler of each MCP method;
//! - `features`: the methods themselves, as tools, resources, prompts and subscriptions; `identity`: who calls;
//! - `tasks`: the model, pure, and [`TaskStore`], the model in memory and on disk.
//!
//! To run it inside another program:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use upstream_tasks::{Listener, ServeConfig, TaskStore};
//!
//! let store = TaskStore::open("tasks.json")?;
//! let listener = Listener::bind_tcp("127.0.0.1:0".parse()?).await?;
//! println!("{}", listener.address());
//! upstream_tasks::serve(listener, store, ServeConfig::default(), std::future::pending()).await?;
//! # Ok(()) }
//! ```

mod assertion;
mod features;
mod identity;
mod listen;
mod schema;
mod serve;
mod server;
mod tasks;

pub use assertion::{KeySource, RequiredAssertion};
pub use listen::{BoundAddress, ListenError, Listener};
pub use serve::{InvalidPath, McpPath, ServeConfig, ServeError, serve};
pub use tasks::store::{StoreError, TaskStore};
