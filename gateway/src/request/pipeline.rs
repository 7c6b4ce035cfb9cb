//! The phases of a request in their order: phases 1 to 7 are called from here, and nowhere else. The connection relays the
//! rest of the answer, and finishes the record (phase 8).

use http::Method;
use mcp_gateway_core::{http::cors, mcp::message::Message, refusal::reason::Reason, why};

use super::{
    admit,
    authenticate::{self, Authenticated},
    authorize,
    exchange::{Broken, Exchange, Stop},
    forward::{self, Terms},
    http_sse::Route,
    read,
    record::audit,
    response::{list_filter, relay::Relay, respond},
    route::{self, Destination},
    serve_local,
    session::{endpoint, message_endpoint, session_id, task_ids},
    standing::Standing,
};
use crate::{
    limits::in_flight::{Kind, Place},
    snapshot::Part,
    verify::Verdict,
};

/// Said of a request whose query is not forwarded.
const QUERY_REMOVED: &str = "the client's query was removed (resources.query: drop)";

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
    let admitted = admit::admit(exchange.session, exchange.tls, &exchange.snapshot);
    let mut admitted = admitted.inspect_err(|reason| {
        let (session, tls) = (&*exchange.session, exchange.tls);
        let found = admit::found(session, tls, &exchange.snapshot, *reason);
        exchange.record.set_detail_if(found);
    })?;

    // 2 route
    let resource = match route::route(&admitted, &exchange.snapshot)? {
        Destination::Document => {
            respond::document(exchange, &admitted).await?;
            return Ok(None);
        }
        Destination::Resource(resource) => resource,
        Destination::Local(service, endpoint) => {
            Box::pin(serve_local::serve(exchange, &*service, endpoint, admitted)).await?;
            return Ok(None);
        }
    };
    let part = resource.part(&admitted.path);
    if admitted.path != resource.path {
        // Another final slash, or messages of HTTP+SSE: whatever decides about the call sees the configured path.
        admitted.path.clone_from(&resource.path);
    }
    exchange.record.set_resource(&resource);
    exchange.resource = Some(resource.clone());
    let headers = &exchange.session.req_header().headers;
    if let Some(detail) = resource.removed_header(headers) {
        exchange.record.set_detail(detail);
        return Err(Reason::ConnectionOption.into());
    }
    exchange.origin = exchange.snapshot.origins.judge(headers)?.cloned();
    if cors::is_preflight(&exchange.session.req_header().method, headers) {
        respond::preflight(exchange).await?;
        return Ok(None);
    }
    if exchange.session.req_header().method == Method::PUT {
        // No resource has it: a token would not help.
        return Err(Reason::MethodNotAllowed.into());
    }

    // 3 authenticate
    let query = admitted.query.as_deref();
    let authenticated = authenticate::authenticate(exchange, &resource, query).await?;
    let Authenticated {
        verdict,
        digest,
        mut recheck,
    } = authenticated;
    exchange.record.set_principal(&verdict.evidence.principal);
    exchange.account = Some(verdict.account.clone());
    exchange.identity = Some(verdict.identity.clone());
    exchange.token_expires = verdict.evidence.expires;
    exchange.token_ends = verdict.expires_at();
    exchange.token_digest = digest;

    // 4 read
    if !part.has(&exchange.session.req_header().method) {
        return Err(Reason::MethodNotAllowed.into());
    }
    let mut message = read::message(exchange).await?;
    exchange.record.set_message(&message);
    audit::expect_decision(exchange.record, exchange.gateway, &message);

    // 5 authorize
    let permit = authorize::authorize(exchange, &resource, &verdict, &message, &admitted).await?;
    if let Some(rates) = exchange.gateway.shared_rates() {
        let counted = authorize::count_together(exchange, rates, &resource, &permit, &message);
        // Boxed: most gateways count for themselves, and their calls are not to carry this.
        Box::pin(counted).await?;
    }
    exchange.edit = list_filter::edit(exchange, &resource, &verdict, &message, &admitted);
    let standing = message.listens.then(|| {
        let standing = Standing::of(exchange, &resource, &verdict, &message, &admitted);
        Box::new(standing.with_recheck(recheck.take()))
    });

    // 6 session
    let route = match part {
        Part::Whole => Route::Whole(session_id::open(exchange, &resource, &permit, &message)?),
        Part::Stream => Route::Stream,
        Part::Messages => {
            let opened = message_endpoint::open(exchange, &resource, &permit, query)?;
            Route::Message(opened)
        }
    };
    let opening = route.endpoint();
    let values = task_ids::open(exchange, &resource, &permit, &mut message, opening)?;
    let issuer = endpoint::Issuer::of(opening, &values);

    // 7 forward
    let place = take_place(exchange, &verdict, &message)?;
    let call = endpoint::choose(exchange, &resource, issuer, message.listens).await?;
    // That of a message is the gateway's own.
    let query = query.filter(|_| part != Part::Messages);
    if query.is_some_and(|query| !query.is_empty()) && resource.drops_query() {
        exchange.record.set_detail(QUERY_REMOVED);
    }
    let own = call.endpoint().query();
    let combined = resource.query_for_upstream(own, query);
    let combined = combined.inspect_err(|_| {
        let found = why::request::repeated_parameter(own, query);
        exchange.record.set_detail_if(found);
    })?;
    let terms = Terms {
        call,
        issuer,
        values,
        place,
        standing,
        recheck,
    };
    forward::forward(
        exchange,
        &resource,
        &permit,
        &mut message,
        route,
        terms,
        combined,
    )
    .await
}

/// Takes a place among the calls in flight, or among the listening streams.
fn take_place(
    exchange: &mut Exchange<'_>,
    verdict: &Verdict,
    message: &Message,
) -> Result<Place, Reason> {
    let kind = match message.listens {
        true => Kind::ListeningStream,
        false => Kind::Call,
    };
    let limits = exchange.snapshot.in_flight();
    let in_flight = exchange.gateway.in_flight();
    let place = in_flight.try_acquire(kind, &verdict.account, &limits);
    if let Err(limit) = place.as_ref().map_err(|reason| limits.reached(*reason)) {
        exchange.record.set_detail(limit);
    }
    place
}
