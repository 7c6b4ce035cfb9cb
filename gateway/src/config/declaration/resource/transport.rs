//! The transport of an MCP server and its clients: `transport` of an upstream.

use crate::config::declaration::parts::{
    setting::{Setting, word},
    value::Word,
    vocabulary::Vocabulary,
};

/// The transport.
pub(crate) const TRANSPORT: Setting<Word<Transport>> = word(
    "transport",
    Transport::StreamableHttp,
    "Transport of the MCP server and of the clients of the resource: streamable_http, or sse (HTTP+SSE of MCP 2024-11-05: the URL is that of the event stream, and clients send their messages to the path of the resource with /message after it).",
);

/// A transport of MCP over HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP: one path for everything (MCP 2025-03-26 and later).
    #[default]
    StreamableHttp,
    /// HTTP+SSE: an event stream, and a path for messages (MCP 2024-11-05).
    Sse,
}

impl Vocabulary for Transport {
    const NAME: &'static str = "Transport";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("streamable_http", Self::StreamableHttp),
        ("sse", Self::Sse),
    ];
}
