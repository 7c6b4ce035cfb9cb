//! The phases of a request in their order: phases 1 to 7 are called from here, and nowhere else. The connection relays the
//! rest of the answer, and finishes the record (phase 8).

use http::Method;
use mcp_gateway_core::{
    http::cors, mcp::message::Message, policy::permit::Permit, refusal::reason::Reason,
};

use super::{
    admit, authenticate, authorize,
    exchange::{Broken, Exchange, Stop},
    forward, read,
    record::audit,
    response::{list_filter, relay::Relay, respond},
    route::{self, Destination},
    session::{session_id, task_ids},
};
use crate::limits::listening_streams::ListeningStream;

/// Runs a request up to its answer. Returns the rest of a body that must still be relayed.
///
/// # Errors
/// The client or the upstream disconnected.
pub(crate) async fn run(exchange: &mut Exchange<'_>) -> Result<Option<Relay>, Broken> {
    match phases(exchange).await {
        Ok(relay) => Ok(relay),
        Err(Stop::Refused(refusal)) => {
            respond::refuse(exchange, &refusal).await?;
            Ok(None)
        }
        Err(Stop::Broken) => Err(Broken),
    }
}

async fn phases(exchange: &mut Exchange<'_>) -> Result<Option<Relay>, Stop> {
    // 1 admit
    exchange
        .record
        .set_path(exchange.session.req_header().uri.path());
    let admitted = admit::admit(exchange.session, exchange.server_name, &exchange.snapshot)?;

    // 2 route
    let resource = match route::route(&admitted, &exchange.snapshot)? {
        Destination::Document => {
            respond::document(exchange, &admitted).await?;
            return Ok(None);
        }
        Destination::Resource(resource) => resource,
    };
    exchange.record.set_resource(&resource);
    exchange.resource = Some(resource.clone());
    let headers = &exchange.session.req_header().headers;
    exchange.origin = exchange.snapshot.origins.judge(headers)?.cloned();
    if cors::is_preflight(&exchange.session.req_header().method, headers) {
        respond::preflight(exchange).await?;
        return Ok(None);
    }

    // 3 authenticate
    let query = admitted.query.as_deref();
    let token = authenticate::authenticate(exchange, &resource, query).await?;
    exchange.record.set_principal(&token.verified.principal);
    exchange.token_ends = token.expires_at(&resource.issuers);

    // 4 read
    if !is_mcp(&exchange.session.req_header().method) {
        return Err(Reason::MethodNotAllowed.into());
    }
    let mut message = read::message(exchange).await?;
    exchange.record.set_message(&message);
    audit::expect_decision(exchange.record, exchange.gateway, &message);

    // 5 authorize
    let permit = authorize::authorize(exchange, &resource, &token, &message, &admitted)?;
    exchange.edit = list_filter::edit(exchange, &resource, &token, &message, &admitted);

    // 6 session
    let session = session_id::open(exchange, &resource, &permit, &message)?;
    task_ids::open(exchange, &resource, &permit, &mut message)?;

    // 7 forward
    let stream = acquire_listening_stream(exchange, &permit, &message)?;
    forward::forward(
        exchange, &resource, &permit, message, session, stream, query,
    )
    .await
}

/// Acquires a slot when the answer is a listening stream.
fn acquire_listening_stream(
    exchange: &Exchange<'_>,
    permit: &Permit,
    message: &Message,
) -> Result<Option<ListeningStream>, Reason> {
    if !message.listens {
        return Ok(None);
    }
    let streams = exchange.gateway.listening_streams();
    let stream = streams.try_acquire(permit.principal(), &exchange.snapshot.limits)?;
    Ok(Some(stream))
}

/// The methods of the Streamable HTTP transport.
fn is_mcp(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::GET | Method::DELETE)
}
