//! Phase 6, for HTTP+SSE: where the messages of a client go, sealed.
//!
//! A client never gets the URI that the MCP server names. It gets one of the gateway with the server's URI in it, sealed for resource
//! and principal like a session id, and goes back to the endpoint of the upstream that has the stream. A message whose stream has ended is not forwarded.

use http::Uri;
use mcp_gateway_core::{
    endpoint_id::EndpointId,
    http_sse::{
        message_path,
        message_session::{MessageSession, StreamId},
    },
    policy::permit::Permit,
    refusal::{Refusal, fault::Fault, reason::Reason},
    seal::{Bound, SealedForm, Sealer},
};

use super::binding::binding;
use crate::{clock, request::exchange::Exchange, snapshot::ProtectedResource};

const MISSING: &str = "the query of the message has no parameter session, or has it several times";

const ENDED: &str = "the event stream of the session was closed";

/// Where a message goes.
pub(crate) struct OpenedTarget {
    /// The endpoint of the upstream that has the stream.
    pub(crate) endpoint: EndpointId,
    /// What it is asked for.
    pub(crate) target: Uri,
}

/// What the endpoint of a client of this resource is bound to.
pub(crate) fn bound(resource: &ProtectedResource, permit: &Permit) -> Bound {
    binding(resource, permit).message_endpoint()
}

/// The path and the query that the client gets for its messages.
///
/// # Errors
/// [`Reason::Internal`] if it cannot be sealed.
pub(crate) fn location(
    sealer: &Sealer,
    (path, bound): (&str, &Bound),
    session: &MessageSession,
) -> Result<String, Fault> {
    let sealed = session.seal(sealer, bound).ok_or(Reason::Internal)?;
    Ok(message_path::location(path, &sealed))
}

/// Opens the sealed value in the query of a message: what the MCP server is asked for. Another caller's, a changed and an unknown one,
/// and one whose stream has ended get the same answer.
pub(crate) fn open(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    query: Option<&str>,
) -> Result<OpenedTarget, Refusal> {
    let sealed = message_path::sealed(query);
    let sealed = sealed.ok_or_else(|| Fault::new(Reason::SessionUnknown, MISSING))?;
    let sealer = exchange.snapshot.sealer();
    let bound = bound(resource, permit);
    let session = MessageSession::open(sealer, &bound, sealed, clock::now());
    let session = session.map_err(|fault| explained(fault, sealer, sealed))?;
    if has_ended(exchange, session.stream) {
        return Err(Fault::new(Reason::SessionEnded, ENDED).into());
    }
    Ok(OpenedTarget {
        endpoint: session.endpoint,
        target: (session.target.parse()).map_err(|_| Reason::SessionUnknown)?,
    })
}

fn has_ended(exchange: &Exchange<'_>, stream: StreamId) -> bool {
    exchange.gateway.message_streams().has_ended(stream)
}

/// The same with what is known about the value.
fn explained(fault: Fault, sealer: &Sealer, sealed: &str) -> Fault {
    let detail = match (fault.reason, sealer.form_of(sealed)) {
        (Reason::SessionUnknown, SealedForm::OtherKey) => {
            "the session of the message was sealed with a key that this process does not have (sessions.key_files)"
        }
        (Reason::SessionUnknown, SealedForm::Own) => {
            "the session of the message was altered, or is another kind of value"
        }
        (Reason::SessionUnknown, SealedForm::Foreign) => {
            "the session of the message was not sealed by a gateway"
        }
        (Reason::SessionMismatch, _) => {
            "the session of the message belongs to another caller, resource or MCP server"
        }
        _ => return fault,
    };
    Fault::new(fault.reason, detail)
}
