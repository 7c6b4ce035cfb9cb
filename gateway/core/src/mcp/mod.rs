//! What is called? The JSON-RPC envelope, the headers that mirror it, sessions, event streams, and what answers are edited.

pub mod change;
pub mod envelope;
pub mod headers;
pub mod listed;
mod member;
pub mod message;
pub mod method;
pub mod operation;
pub(crate) mod references;
pub mod supported;
pub mod tasks;
pub mod version;
