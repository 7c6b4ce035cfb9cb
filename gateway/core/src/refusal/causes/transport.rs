//! The words about HTTP+SSE, the transport of MCP 2024-11-05.

use super::row::Causes;
use crate::refusal::reason::Reason;

/// The texts of a row; empty ones for a reason that is not here, which a test does not accept.
pub(super) const fn causes(reason: Reason) -> Causes {
    match reason {
        Reason::SessionEnded => Causes {
            when: "A message of HTTP+SSE whose event stream has ended: closed by one side, or because the token expired with which it was opened.",
            causes: "Ordinary, after a restart of the MCP server, or when a client goes on after its stream was closed. Clients open a new stream.",
            detail: "Whether the stream was closed, or its token has expired.",
            cure: "Nothing, if clients open a new stream. If streams end often: compare the lifetime of the tokens, and the idle timeouts of proxies with `timeouts.sse_comment`.",
        },
        Reason::UpstreamStream => Causes {
            when: "The MCP server of a resource with `resources[].upstream.transport` sse does not open an event stream: its answer to GET is not 200 with text/event-stream.",
            causes: "A URL that is not the server's event stream, often a page of HTML or 404. A server of Streamable HTTP, which answers 405, 406 or 400.",
            detail: "The status and the `Content-Type`.",
            cure: "Compare `resources[].upstream.url` with the server's path of events, often /sse; or set `resources[].upstream.transport` to streamable_http.",
        },
        Reason::UpstreamEndpoint => Causes {
            when: "The event stream of the MCP server does not begin with an `endpoint` event that has a usable URI, or has a second one. In the middle of a stream it ends the stream.",
            causes: "A server of Streamable HTTP, which has event streams without that event. A URI with a fragment, spaces, dot segments, or longer than 2048 bytes.",
            detail: "What is wrong with the event or its URI.",
            cure: "Look at the first lines of the stream, for example with curl -N. For a server of Streamable HTTP, set `resources[].upstream.transport` to streamable_http.",
        },
        Reason::EndpointOrigin => Causes {
            when: "The MCP server names an endpoint for messages at another origin than its own.",
            causes: "A server that is configured with a public URL of its own, or takes it from forwarded headers. An attack by the server.",
            detail: "The origin that was named, and those that are accepted.",
            cure: "Let the server name a path alone; or write the origin that it names into `resources[].upstream.url`, or its host into `resources[].upstream.host`.",
        },
        _ => Causes {
            when: "",
            causes: "",
            detail: "",
            cure: "",
        },
    }
}
