//! The beginning of an event stream of HTTP+SSE. The client gets no head before the MCP server has named its endpoint: until then
//! every fault is an answer with a reason.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use mcp_gateway_core::{
    http::authority::{Authority, Scheme},
    http_sse::{
        endpoint_event::{EndpointEvent, MAX_BEFORE_ENDPOINT},
        endpoint_uri::Server,
        message_session::MessageSession,
    },
    policy::permit::Permit,
    refusal::{fault::Fault, reason::Reason},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    request::{
        exchange::{Exchange, Stop},
        response::{
            body::{Cut, RelayedBody},
            decoding::AnswerBody,
            editing::{self, Editing},
            rewrite::AnswerForm,
            stream_end::StreamEnd,
        },
        session::message_endpoint,
        standing::messages::MessageStanding,
    },
    snapshot::ProtectedResource,
    upstream::Endpoint,
};

/// The path and query that the client gets for its messages, or why there is none.
type Named = Result<String, Fault>;

const TOO_LATE: &str =
    "there was no endpoint event in time (timeouts.response_head, resources.response_head)";

/// Refuses an answer that is not an event stream.
///
/// # Errors
/// [`Reason::UpstreamStream`]; the record has the detail.
pub(crate) fn require_stream(
    exchange: &mut Exchange<'_>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), Reason> {
    if status != StatusCode::OK {
        let answered = format!("the MCP server answered {}", status.as_u16());
        let found = exchange.record.detail().unwrap_or(&answered);
        let detail = format!("{found}; an event stream needs 200 with text/event-stream");
        exchange.record.set_detail(detail);
        return Err(Reason::UpstreamStream);
    }
    match AnswerForm::of(headers, exchange.record) {
        Ok(AnswerForm::Events) => Ok(()),
        Ok(AnswerForm::Document) => {
            let detail =
                "the MCP server's answer to GET has application/json, not text/event-stream";
            exchange.record.set_detail(detail);
            Err(Reason::UpstreamStream)
        }
        Err(_) => Err(Reason::UpstreamStream),
    }
}

/// Waits for the endpoint of the MCP server, by `deadline`, and replaces it by one of the gateway. All other events are edited as
/// `edit` says.
///
/// # Errors
/// A refusal; or the client disconnected, or may not listen any more.
pub(crate) async fn open(
    exchange: &mut Exchange<'_>,
    (resource, permit, upstream): (&ProtectedResource, &Permit, &Arc<Endpoint>),
    response: Response<AnswerBody>,
    edit: Option<Editing>,
    deadline: Instant,
    stream_end: &mut StreamEnd,
) -> Result<Response<RelayedBody>, Stop> {
    let outcome = Arc::new(OnceLock::new());
    let at = (resource, permit, upstream);
    let endpoint = endpoint(exchange, at, &outcome);
    // Never none: the first edit is there.
    let edit = editing::combine(Some(endpoint), edit).ok_or(Reason::Internal)?;
    let (parts, body) = response.into_parts();
    let reservation = exchange.body_reservation();
    let mut body = RelayedBody::edited(body, edit, reservation, &exchange.snapshot);
    let begun = tokio::select! {
        biased;
        begun = begin(&mut body, &outcome) => begun,
        () = exchange.session.gone() => return Err(Stop::Broken),
        () = sleep_until(deadline) => Err(Fault::new(Reason::UpstreamTimeout, TOO_LATE)),
        () = stream_end.reached() => return Err(Stop::Broken),
    };
    let (read, location) = begun.map_err(|fault| Stop::Refused(fault.into()))?;
    body.put_back(read);
    let set = resource.upstream.set();
    stream_end.needs_messages(MessageStanding::new(set, upstream.id(), location));
    Ok(Response::from_parts(parts, body))
}

/// The edit that replaces the endpoint. The stream counts as open until its editor is dropped.
fn endpoint(
    exchange: &Exchange<'_>,
    (resource, permit, upstream): (&ProtectedResource, &Permit, &Arc<Endpoint>),
    outcome: &Arc<OnceLock<Named>>,
) -> Editing {
    let sealer = exchange.snapshot.sealer().clone();
    let bound = message_endpoint::bound(resource, permit);
    let (upstream, path) = (upstream.clone(), resource.path.clone());
    let open = exchange.gateway.message_streams().open();
    let ends = exchange.token_ends;
    let (named, refused) = (outcome.clone(), outcome.clone());
    let replace = move |uri: &str| {
        let asked = upstream.asked(&http::Method::GET);
        let session = MessageSession {
            stream: open.id(),
            endpoint: upstream.id(),
            ends,
            target: server(asked.origin, asked.host, asked.path).resolve(uri)?,
        };
        let location = message_endpoint::location(&sealer, (&path, &bound), &session)?;
        let _ = named.set(Ok(location.clone()));
        Ok(location)
    };
    let failed = move |fault| {
        let _ = refused.set(Err(fault));
    };
    Editing::new(EndpointEvent::new(replace, failed)).with_opening(MAX_BEFORE_ENDPOINT)
}

/// The MCP server at this origin, which is sent this `Host`; without an origin, at a unix socket.
fn server<'a>(origin: Option<&str>, host: &str, path: &'a str) -> Server<'a> {
    let (scheme, authority) = match origin.and_then(|origin| origin.split_once("://")) {
        Some((scheme, authority)) => (scheme, Some(authority)),
        None => ("http", None),
    };
    let named = authority.into_iter().chain([host]);
    Server {
        scheme: Scheme::parse(scheme).unwrap_or(Scheme::Http),
        authorities: named
            .filter_map(|name| Authority::parse(name).ok())
            .collect(),
        path,
    }
}

/// The stream up to its first event, and where its messages go.
async fn begin(
    body: &mut RelayedBody,
    outcome: &OnceLock<Named>,
) -> Result<(Bytes, String), Fault> {
    let mut begun = BytesMut::new();
    loop {
        match body.frame().await {
            Some(Ok(frame)) => begun.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Some(Err(cut)) => return Err(fault(cut, outcome)),
            None => {
                let detail = "the event stream ended before its endpoint event";
                return Err(Fault::new(Reason::UpstreamEndpoint, detail));
            }
        }
        if let Some(Ok(location)) = outcome.get() {
            return Ok((begun.freeze(), location.clone()));
        }
    }
}

fn fault(cut: Cut, outcome: &OnceLock<Named>) -> Fault {
    match (outcome.get(), cut) {
        (Some(Err(fault)), _) => fault.clone(),
        (_, Cut::Refused(reason, detail)) => Fault::new(reason, detail),
        (_, Cut::Upstream) => Fault::new(
            Reason::UpstreamBroken,
            "the MCP server broke off its event stream before its endpoint event",
        ),
    }
}
