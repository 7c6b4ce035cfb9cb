//! Phase 7: sends the request to the upstream, and writes the head of its answer.
//!
//! Forwarding requires a [`Permit`], which only a policy can create. The upstream gets the headers of an allow-list and the
//! caller's identity, never the caller's token; the client gets the headers of another allow-list. An edited answer that is
//! not a stream is written completely here.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use http_body::Body;
use http_body_util::Full;
use mcp_gateway_core::{
    http::{
        cors,
        forwarding::{self, LAST_EVENT_ID, copies},
    },
    mcp::{
        headers::{NAME, SESSION_ID},
        message::Message,
    },
    policy::permit::Permit,
    refusal::{Refusal, reason::Reason},
};
use pingora::http::ResponseHeader;
use tokio::time::{Instant, sleep_until};

use super::{
    exchange::{Exchange, Stop},
    record::{Record, audit},
    response::{
        body::RelayedBody,
        editing::Editing,
        relay::Relay,
        rewrite::{self, AnswerForm},
        stream_end::StreamEnd,
        write::{write_head, write_whole},
    },
    session::session_id::{self, OpenedSession},
    standing::Standing,
};
use crate::{
    clock,
    config::{EventIds, IdentityHeaders},
    limits::in_flight::Place,
    snapshot::ProtectedResource,
    upstream::{SendError, UpstreamBody},
};

/// The detail in the access log where a client resumes a stream and gets a new one.
const NOT_RESUMED: &str = "Last-Event-ID was removed (resources.event_ids: drop); `upstream` leaves binding event ids to the MCP server";

/// The detail where a client resumes a stream after two events.
const TWO_EVENTS: &str = "last-event-id was sent twice with different values";
/// The detail in the access log where the identity of the caller does not fit into a header.
const TOO_LONG: &str = "the subject, client id or scopes of the token are too long for a header (resources.identity_headers)";

/// The detail in the access log where a call is ended because its token expired.
const EXPIRED: &str =
    "the token expired while the call waited for its answer (timeouts.max_after_expiry)";

/// What the answer takes, and on what it depends.
pub(crate) struct Terms {
    pub(crate) place: Place,
    /// The right of a listening stream's caller; a call has none.
    pub(crate) standing: Option<Box<Standing>>,
}

/// Sends a permitted message to the resource's upstream, and the head of the answer to the client.
pub(crate) async fn forward(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: Message,
    session: Option<OpenedSession>,
    Terms { place, standing }: Terms,
    query: Option<String>,
) -> Result<Option<Relay>, Stop> {
    let era = message.era;
    let last_event = match &session {
        Some(_) => last_event_id(exchange, resource)?,
        None => None,
    };
    let request = request(
        exchange,
        resource,
        permit,
        message,
        session.as_ref(),
        last_event,
        query,
    );
    if let Err(Reason::UnusableSubject) = request {
        exchange.record.set_detail(TOO_LONG);
    }
    let request = request?;
    audit::write_allowed(exchange.record, exchange.gateway);
    let token_left = exchange.token_ends.since(clock::now());
    let mut stream_end = match standing {
        Some(standing) => {
            StreamEnd::of_listening(exchange.gateway, token_left).only_while(standing)
        }
        None => StreamEnd::of_call(token_left, exchange.snapshot.timeouts.max_after_expiry),
    };
    let started = Instant::now();
    let response = ask(
        exchange,
        resource,
        request,
        place.listens(),
        &mut stream_end,
    )
    .await;
    exchange.record.set_upstream_duration(started.elapsed());
    stream_end.note(exchange.record);
    if let Err(Stop::Refused(refusal)) = &response
        && refusal.reason == Reason::Expired
    {
        exchange.record.set_detail(EXPIRED);
    }
    let mut response = response?;
    forwarding::remove_fields_of_the_hop(response.headers_mut());
    for (name, value) in copies::equal_lines(response.headers()) {
        response.headers_mut().insert(name, value);
    }
    check_status(response.status())?;
    let session_id = session_id::answer_id(exchange, resource, permit, &response, era, session)
        .map_err(Refusal::from)?;
    let has_body = !response.body().is_end_stream();
    let response = match exchange.edit.take().filter(|_| has_body) {
        None => response.map(RelayedBody::Plain),
        Some(edit) => match AnswerForm::of(response.headers(), exchange.record) {
            Ok(AnswerForm::Events) => edited_events(exchange, response, edit),
            Ok(AnswerForm::Document) => {
                let deadline = started + resource.response_head;
                let answer = WholeAnswer {
                    response,
                    edit,
                    deadline,
                    session_id,
                };
                return edited_document(exchange, answer, &mut stream_end).await;
            }
            // The body of an error is for people: clients read its status.
            Err(_) if !response.status().is_success() => {
                return without_body(exchange, response, session_id).await;
            }
            Err(reason) => return Err(reason.into()),
        },
    };
    let length = response.body().size_hint().exact();
    let head = response_head(exchange, &response, length, session_id)?;
    exchange.record.set_status(response.status());
    write_head(exchange.session, head).await?;
    let relay = Relay::of(exchange, response, stream_end, place);
    Ok(Some(relay))
}

fn edited_events(
    exchange: &Exchange<'_>,
    response: Response<UpstreamBody>,
    edit: Editing,
) -> Response<RelayedBody> {
    let reservation = exchange.body_reservation();
    response.map(|body| RelayedBody::edited(body, edit, reservation, &exchange.snapshot))
}

/// An answer that is edited as a whole.
struct WholeAnswer {
    response: Response<UpstreamBody>,
    edit: Editing,
    deadline: Instant,
    session_id: Option<HeaderValue>,
}

/// Writes an answer that is edited as a whole, so its head is written after its body is complete.
async fn edited_document(
    exchange: &mut Exchange<'_>,
    answer: WholeAnswer,
    stream_end: &mut StreamEnd,
) -> Result<Option<Relay>, Stop> {
    let session_id = answer.session_id;
    let (parts, body) = answer.response.into_parts();
    let edited = rewrite::document(exchange, body, answer.edit, answer.deadline, stream_end).await;
    let response = Response::from_parts(parts, ());
    let body = match edited {
        Err(Stop::Refused(refusal))
            if refusal.reason == Reason::AnswerUnreadable && !response.status().is_success() =>
        {
            return without_body(exchange, response, session_id).await;
        }
        edited => edited?,
    };
    let head = response_head(exchange, &response, Some(body.len() as u64), session_id)?;
    exchange.record.set_status(response.status());
    write_head(exchange.session, head).await?;
    write_whole(exchange.session, body).await?;
    Ok(None)
}

/// Writes an error of the upstream without its body, which cannot be read: it might hold a list.
async fn without_body<B>(
    exchange: &mut Exchange<'_>,
    mut response: Response<B>,
    session_id: Option<HeaderValue>,
) -> Result<Option<Relay>, Stop> {
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_ENCODING);
    let head = response_head(exchange, &response, Some(0), session_id)?;
    exchange.record.set_status(response.status());
    write_head(exchange.session, head).await?;
    write_whole(exchange.session, Bytes::new()).await?;
    Ok(None)
}

fn request(
    exchange: &Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: Message,
    session: Option<&OpenedSession>,
    last_event: Option<HeaderValue>,
    query: Option<String>,
) -> Result<Request<Full<Bytes>>, Reason> {
    let client = exchange.session.req_header();
    let mut headers = forwarding::to_upstream(&client.headers, message.era);
    headers.insert(HOST, resource.upstream.host().clone());
    identify(&mut headers, &resource.identity_headers, permit)?;
    if let Some(name) = message.mirror.filter(|_| headers.contains_key(NAME)) {
        headers.insert(NAME, name);
    }
    if let Some(session) = session {
        let id = HeaderValue::from_str(&session.upstream_id).map_err(|_| Reason::SessionUnknown)?;
        headers.insert(SESSION_ID, id);
        if let Some(event) = last_event {
            headers.insert(LAST_EVENT_ID, event);
        }
    }
    let mut request = Request::new(Full::new(message.body.unwrap_or_default()));
    *request.method_mut() = client.method.clone();
    *request.uri_mut() = resource.upstream.target(query.as_deref());
    *request.headers_mut() = headers;
    Ok(request)
}

/// The event after which a client resumes a stream of its session. Some servers replay the events of any session, so it is
/// forwarded only to those that are known not to, and only on a stream that is known to resume one (MCP 2025-11-25,
/// transports: always by GET).
fn last_event_id(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
) -> Result<Option<HeaderValue>, Reason> {
    let client = exchange.session.req_header();
    let mut events = client.headers.get_all(LAST_EVENT_ID).iter();
    let Some(event) = events.next().filter(|_| client.method == Method::GET) else {
        return Ok(None);
    };
    match resource.event_ids {
        EventIds::Upstream if events.next().is_some() => {
            exchange.record.set_detail(TWO_EVENTS);
            Err(Reason::HeaderMismatch)
        }
        EventIds::Upstream => Ok(Some(event.clone())),
        EventIds::Drop => {
            exchange.record.set_detail(NOT_RESUMED);
            Ok(None)
        }
    }
}

/// Adds the caller's identity. These header names are in no allow-list, so a client's own headers never get here.
fn identify(
    headers: &mut HeaderMap,
    names: &IdentityHeaders,
    permit: &Permit,
) -> Result<(), Reason> {
    let principal = permit.principal();
    let scope = names.scope.as_ref().map(|_| principal.scopes.to_string());
    let values = [
        (&names.subject, Some(&*principal.subject)),
        (&names.issuer, Some(&*principal.issuer)),
        (&names.client, principal.client.as_deref()),
        (&names.scope, scope.as_deref()),
    ];
    for (name, value) in values {
        if let (Some(name), Some(value)) = (name, value) {
            let value = forwarding::identity_value(value).ok_or(Reason::UnusableSubject)?;
            headers.insert(name.clone(), value);
        }
    }
    Ok(())
}

/// Waits for the head of the answer and for the client to disconnect; also for the deadline, unless the answer is a
/// listening stream: that wait ends with the stream's end.
async fn ask(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    request: Request<Full<Bytes>>,
    listens: bool,
    stream_end: &mut StreamEnd,
) -> Result<Response<UpstreamBody>, Stop> {
    let late = async {
        if listens {
            stream_end.reached().await;
            return Stop::Broken;
        }
        let deadline = Instant::now() + resource.response_head;
        sleep_until(deadline.min(stream_end.expires())).await;
        Stop::from(match deadline <= stream_end.expires() {
            true => Reason::UpstreamTimeout,
            false => Reason::Expired,
        })
    };
    tokio::select! {
        biased;
        answered = resource.upstream.send(request) => {
            answered.map_err(|error| failed(exchange.record, &error).into())
        }
        // Dropping the request closes its connection, so the upstream notices at once.
        _ = exchange.session.read_body_or_idle(true) => Err(Stop::Broken),
        stop = late => Err(stop),
    }
}

fn failed(record: &mut Record, error: &SendError) -> Reason {
    record.set_detail(error.to_string());
    match error {
        SendError::Unreachable(_) => Reason::UpstreamUnreachable,
        SendError::Broken(_) => Reason::UpstreamBroken,
    }
}

/// Refuses the answer of an upstream that requests credentials itself, or redirects the client: it is not forwarded.
fn check_status(status: StatusCode) -> Result<(), Reason> {
    match status {
        StatusCode::UNAUTHORIZED => Err(Reason::UpstreamAuth),
        StatusCode::NOT_MODIFIED => Ok(()),
        status if status.is_informational() || status.is_redirection() => {
            Err(Reason::UpstreamBroken)
        }
        _ => Ok(()),
    }
}

/// These statuses have no Content-Length (RFC 9110 §8.6).
fn has_length(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn response_head<B>(
    exchange: &Exchange<'_>,
    response: &Response<B>,
    length: Option<u64>,
    session_id: Option<HeaderValue>,
) -> Result<Box<ResponseHeader>, Reason> {
    let internal = |_| Reason::Internal;
    let mut head = ResponseHeader::build_no_case(response.status(), None).map_err(internal)?;
    for (name, value) in forwarding::to_client(response.headers()).iter() {
        head.append_header(name, value).map_err(internal)?;
    }
    for (name, value) in cors::answer_headers(exchange.origin.as_ref()) {
        head.append_header(name, value).map_err(internal)?;
    }
    if let Some(id) = session_id {
        head.insert_header(SESSION_ID, id).map_err(internal)?;
    }
    if let Some(length) = length.filter(|_| has_length(response.status())) {
        head.insert_header(CONTENT_LENGTH, length)
            .map_err(internal)?;
    }
    Ok(Box::new(head))
}
