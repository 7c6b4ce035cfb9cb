//! Phase 6, its end: the endpoint of the upstream that a message is sent to. A message of a session, about a task or with a
//! request state goes to the endpoint that issued these, which alone knows them.

use std::sync::Arc;

use mcp_gateway_core::{
    endpoint_id::EndpointId,
    refusal::{Refusal, fault::Fault, reason::Reason},
};

use super::{session_id::OpenedSession, task_ids::OpenedValues};
use crate::{snapshot::ProtectedResource, upstream::Endpoint};

/// The detail in the access log where the endpoint that issued a value is not configured any more.
const GONE: &str = "the endpoint that issued the session id, task id or requestState is not an endpoint of the resource any more (resources.upstream)";

/// The endpoint that a message is sent to.
///
/// # Errors
/// The endpoint that issued a sealed value of the message is gone: the reason is the one for an unknown value of that kind.
pub(crate) fn choose(
    resource: &ProtectedResource,
    session: Option<&OpenedSession>,
    values: &OpenedValues,
) -> Result<Arc<Endpoint>, Refusal> {
    let upstream = &resource.upstream;
    match issuer(session, values) {
        None => Ok(upstream.choose().clone()),
        Some((id, unknown)) => {
            let endpoint = upstream.by_id(id).cloned();
            endpoint.ok_or_else(|| Fault::new(unknown, GONE).into())
        }
    }
}

/// The endpoint that issued the values of a message, and the reason for a value that is unknown.
fn issuer(session: Option<&OpenedSession>, values: &OpenedValues) -> Option<(EndpointId, Reason)> {
    let of_session = session.map(|session| (session.endpoint, Reason::SessionUnknown));
    of_session.or_else(|| Some((values.endpoint()?, values.unknown())))
}
