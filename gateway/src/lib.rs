//! `mcp-gateway`: a gateway in front of MCP servers that have no authentication of their own.
//!
//! The modules, from the outermost to the innermost. A module names only modules below it (`gateway/tests/source_rules`):
//!
//! * [`cli`]: the command line; [`app`]: assembly and start; [`lifecycle`]: reload, upgrade, signals and shutdown.
//! * [`admin`]: metrics and probes for operators.
//! * [`downstream`]: client connections; [`request`]: the phases of a request.
//! * `client_session`: one request of a client and its answer, as bytes of HTTP/1.1 or a stream of HTTP/2.
//! * [`shared`]: what all requests share; [`snapshot`]: the configuration prepared for requests.
//! * [`authorization_server`]: the built-in authorization server, around the decisions of `mcp-gateway-oauth`.
//! * `verify`: tokens verified, by one verifier for each kind; `assertion`: signed assertions about callers for upstreams.
//! * [`local`]: documents that the gateway serves itself; [`issuer_keys`]: the keys of issuers; [`upstream`]: MCP servers;
//!   [`fetch`]: the outbound client.
//! * [`limits`]: counted limits; `remote_store`: the connection to a store that gateways share; [`telemetry`]: logs and metrics; [`config`]: the configuration file.
//! * `upstream_credentials`: the tokens that the gateway gets for itself or for a caller, for an upstream.
//! * `single_flight`: questions that several callers wait for; `clock`, `error_source` and `new_key`: the wall clock, the root cause of an error, and new private keys.
//!
//! The decisions themselves are pure functions in `mcp-gateway-core`.

mod admin;
pub mod app;
mod assertion;
mod authorization_server;
pub mod cli;
mod client_session;
mod clock;
pub mod config;
mod decision;
mod downstream;
mod error_source;
mod fetch;
mod issuer_keys;
mod lifecycle;
mod limits;
mod local;
mod new_key;
mod remote_store;
mod request;
mod shared;
mod single_flight;
mod snapshot;
mod telemetry;
mod time_limit;
mod upstream;
mod upstream_credentials;
mod verify;

pub use fetch::internet::{Internet, Outside};
