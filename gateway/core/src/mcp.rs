//! What is called? The JSON-RPC envelope, the headers that mirror it, sessions, event streams, and what answers are edited.

pub mod answer;
pub mod change;
pub mod envelope;
pub mod headers;
pub(crate) mod look_alike;
mod naming;
mod references;
pub mod sealed;
pub mod sse;
pub mod supported;
pub mod tasks;
pub mod version;
