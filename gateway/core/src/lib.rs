//! The gateway's decisions, pure: values and an instant go in, values come out.
//!
//! Nothing here opens a socket, reads a clock, writes a log or waits. That is what makes every rule of the gateway a
//! table in a test, and it is why this is a crate of its own: Cargo holds the border.
//!
//! * [`auth`]: who calls, and may they? Tokens, keys, scopes, policy, and the one table of refusals.
//! * [`mcp`]: what is called? The strict JSON-RPC envelope, the headers that mirror it, sessions, event streams.
//! * [`http`]: is the request one request, and for us? Framing, targets, origins, what is passed on.
//! * [`json`]: the strict reader that all of them share.
//! * [`similar`]: what a mistyped word may have meant.

pub mod auth;
pub mod http;
pub mod json;
pub mod mcp;
pub mod similar;
pub mod time;
pub mod token_bucket;
