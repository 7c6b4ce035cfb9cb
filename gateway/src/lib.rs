//! `mcp-gateway`: the gateway that stands in front of MCP servers which have no authentication of their own.
//!
//! The rooms, from the outermost to the innermost; a module names only what stands below it (`gateway/tests/source_rules`):
//!
//! * [`cli`]: what people type; [`app`]: assembly and start; [`lifecycle`]: reload, upgrade, signals and the end.
//! * [`admin`]: metrics and probes for operators.
//! * [`downstream`]: client connections; [`request`]: the phases of a request.
//! * [`shared`]: what all requests share; [`snapshot`]: the configuration made ready for requests.
//! * [`local`]: what the gateway answers itself; [`issuer_keys`]: issuers' keys; [`upstream`]: MCP servers; [`fetch`]: the outbound
//!   client.
//! * [`limits`]: what is counted; [`telemetry`]: logs and metrics; [`config`]: the configuration file.
//! * `clock` and `error_source`: the wall clock, and the cause at the bottom of an error.
//!
//! The decisions themselves are pure and stand in `mcp-gateway-core`.

mod admin;
pub mod app;
pub mod cli;
mod clock;
pub mod config;
mod downstream;
mod error_source;
mod fetch;
mod issuer_keys;
mod lifecycle;
mod limits;
mod local;
mod request;
mod shared;
mod snapshot;
mod telemetry;
mod upstream;
