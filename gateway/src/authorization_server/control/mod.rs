//! How operators see and revoke clients and grants of the running gateway: `mcp-gateway oauth` asks over a unix socket in the directory
//! of the store. Only the gateway's user can connect.
//!
//! A connection has one request and one answer, each a line of JSON ([`protocol`]). [`socket`] answers, [`caller`] asks.

pub(crate) mod caller;
pub(crate) mod protocol;
pub(crate) mod socket;

/// The socket's file in the directory of the store.
const NAME: &str = "control.sock";
