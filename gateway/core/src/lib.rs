//! The gateway's decisions, pure: values and an instant go in, values come out.
//!
//! Nothing here opens a socket, reads a clock, writes a log or waits. So every rule of the gateway can be tested with a
//! table of inputs and outputs. It is a crate of its own so that Cargo enforces this.
//!
//! A module names only those above it in this list (`gateway/tests/source_rules` enforces the order):
//!
//! * [`bytewise`], [`time`], [`similar`], [`scope`], [`scope_prefix`], [`principal`], [`endpoint_id`]: small values that all modules share.
//! * [`json`]: the strict reader of client bytes. [`sse`]: the events of a stream.
//! * [`refusal`]: why a request is refused; the one table of reasons.
//! * [`mcp`]: what is called? The table of methods, the message, the headers that mirror it.
//! * [`http`]: is the request one request, and for this gateway? Framing, targets, origins, headers that are forwarded.
//! * [`seal`]: ids that clients hold but cannot read.
//! * [`cel`]: conditions of rules. [`token`]: tokens, keys and claims.
//! * [`policy`]: is this principal allowed to make this call? The result is a [`Permit`](policy::permit::Permit). [`rate`]: how often?
//! * [`balance`]: which endpoint of an upstream gets a call.
//! * [`rewrite`]: edits the answers of upstreams. [`http_sse`]: the transport of MCP 2024-11-05.
//! * [`why`]: what was found in a refused request and what was expected, for the operator's log.

pub mod balance;
pub mod bytewise;
pub mod cel;
pub mod endpoint_id;
pub mod http;
pub mod http_sse;
pub mod json;
pub mod mcp;
pub mod policy;
pub mod principal;
pub mod rate;
pub mod refusal;
pub mod rewrite;
pub mod scope;
pub mod scope_prefix;
pub mod seal;
pub mod similar;
pub mod sse;
pub mod time;
pub mod token;
pub mod why;
