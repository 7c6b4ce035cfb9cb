//! The gateway's decisions, pure: values and an instant go in, values come out.
//!
//! Nothing here opens a socket, reads a clock, writes a log or waits. That is what makes every rule of the gateway a
//! table in a test, and it is why this is a crate of its own: Cargo holds the border.
//!
//! A module names only those that stand above it in this list (`gateway/tests/source_rules` holds the order):
//!
//! * [`time`], [`similar`], [`scope`], [`principal`]: small values that everything shares.
//! * [`json`]: the strict reader of client bytes. [`sse`]: the events of a stream.
//! * [`refusal`]: why a request goes no further; the one table of reasons.
//! * [`mcp`]: what is called? The table of methods, the message, the headers that mirror it.
//! * [`http`]: is the request one request, and for us? Framing, targets, origins, what is passed on.
//! * [`seal`]: ids that clients hold and cannot read.
//! * [`cel`]: conditions of rules. [`token`]: tokens, keys and claims.
//! * [`policy`]: may this principal call this? What comes out is a [`Permit`](policy::permit::Permit). [`rate`]: how often?
//! * [`rewrite`]: answers of upstreams, edited.

pub mod cel;
pub mod http;
pub mod json;
pub mod mcp;
pub mod policy;
pub mod principal;
pub mod rate;
pub mod refusal;
pub mod rewrite;
pub mod scope;
pub mod seal;
pub mod similar;
pub mod sse;
pub mod time;
pub mod token;
