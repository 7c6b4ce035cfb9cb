//! `mcp-gateway`: the gateway that stands in front of MCP servers which have no authentication of their own.
//!
//! The story of a request begins in [`proxy`], is decided by the values of `mcp-gateway-core`, and is told by
//! [`telemetry`]. Around it:
//!
//! * [`config`] reads the one configuration file; [`snapshot`] makes it ready for requests;
//! * [`upstream`] is where requests go; [`outbound`] fetches what issuers publish; [`documents`] is what the gateway
//!   itself publishes;
//! * [`gateway`] is what all requests share, [`listening`] what is counted of their streams, [`places`] of their
//!   connections, [`pressure`] whether descriptors or memory are short; [`run`] puts everything together; [`signals`] ends it, [`upgrade`] puts another process in its place;
//!   [`admin`] shows it to operators;
//! * [`cli`] is what people type.

mod admin;
mod bodies;
mod cause;
pub mod cli;
mod clock;
pub mod config;
mod documents;
mod gateway;
mod listening;
mod outbound;
mod places;
mod pressure;
mod proxy;
mod rates;
mod reload;
pub mod run;
mod signals;
mod snapshot;
mod telemetry;
mod upgrade;
mod upstream;
