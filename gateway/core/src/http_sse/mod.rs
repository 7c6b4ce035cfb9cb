//! The transport HTTP+SSE of MCP 2024-11-05: what it has instead of sessions in a header.
//!
//! A client opens an event stream with GET. Its first event, `endpoint`, has a URI, to which the client POSTs its messages; all
//! answers come on the stream. Behind the gateway, [`endpoint_event`] replaces the MCP server's URI, which [`endpoint_uri`]
//! resolves, by one of the gateway ([`message_path`]) that has the server's URI in it, sealed ([`message_session`]).

pub mod endpoint_event;
pub mod endpoint_uri;
pub mod message_path;
pub mod message_session;
