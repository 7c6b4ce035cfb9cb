//! The transport HTTP+SSE of MCP 2024-11-05, where it differs from Streamable HTTP.
//!
//! Its event stream is a listening stream whose first event is replaced ([`opening`]). Its messages are judged like those of
//! Streamable HTTP, and go to the URI that the MCP server named; their answers come on the stream, so the answer to the POST has no
//! body ([`accepted`]).

pub(crate) mod accepted;
pub(crate) mod opening;

use http::Uri;
use mcp_gateway_core::endpoint_id::EndpointId;

use super::session::{message_endpoint::OpenedTarget, session_id::OpenedSession};

/// How a permitted request goes to the MCP server.
pub(crate) enum Route {
    /// By Streamable HTTP, in this session.
    Whole(Option<OpenedSession>),
    /// It opens an event stream of HTTP+SSE.
    Stream,
    /// It is a message of HTTP+SSE, for this target.
    Message(OpenedTarget),
}

impl Route {
    /// The session of Streamable HTTP.
    pub(crate) const fn session(&self) -> Option<&OpenedSession> {
        match self {
            Self::Whole(session) => session.as_ref(),
            Self::Stream | Self::Message(_) => None,
        }
    }

    /// The endpoint of its session.
    pub(crate) fn endpoint(&self) -> Option<EndpointId> {
        match self {
            Self::Whole(session) => session.as_ref().map(|session| session.endpoint),
            Self::Stream => None,
            Self::Message(opened) => Some(opened.endpoint),
        }
    }

    /// The target that is not the resource's own.
    pub(crate) const fn target(&self) -> Option<&Uri> {
        match self {
            Self::Message(opened) => Some(&opened.target),
            Self::Whole(_) | Self::Stream => None,
        }
    }

    /// Whether it is of HTTP+SSE, where every answer begins soon.
    pub(crate) const fn is_of_http_sse(&self) -> bool {
        matches!(self, Self::Stream | Self::Message(_))
    }
}
