//! Phase 7: sends the request to the upstream, and writes the head of its answer.
//!
//! Forwarding requires a [`Permit`], which only a policy can create. The upstream gets the headers of an allow-list, the
//! caller's identity and the gateway's own credential ([`outgoing`], [`credential`]), never the caller's token; the client gets the
//! headers of another allow-list. Where an answer fails to come, [`attempts`] decides about another one. An edited answer that is not a
//! stream is written completely here.

mod attempts;
mod credential;
mod outgoing;
mod turn;
mod waiting;

use std::mem;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::Body;
use mcp_gateway_core::{
    http::{
        answer::{
            coding::{self, Treatment},
            status,
        },
        cors,
        forwarding::{self, copies},
    },
    mcp::{headers::SESSION_ID, message::Message},
    policy::permit::Permit,
    refusal::{Refusal, fault::Fault, reason::Reason},
    token::dpop::field::DPOP_NONCE,
};
use pingora::http::ResponseHeader;
use tokio::time::Instant;

use super::{
    exchange::{Exchange, Stop},
    http_sse::{Route, accepted, opening},
    possession::dpop::next_nonce,
    response::{
        body::RelayedBody,
        decoding::AnswerBody,
        editing::Editing,
        relay::{Relay, RelayForm},
        rewrite::{self, AnswerForm, BODIES},
        stream_end::StreamEnd,
        write::{write_head, write_whole},
    },
    session::{
        endpoint::Issuer,
        session_id,
        task_ids::{self, OpenedValues},
    },
    standing::Standing,
};
use crate::{
    clock,
    limits::in_flight::Place,
    snapshot::ProtectedResource,
    upstream::{Call, Endpoint, SendError, UpstreamBody},
    verify::introspection::Recheck,
};
use attempts::Attempts;
use outgoing::{Outgoing, last_event_id};
use waiting::{Unanswered, Wait};

/// The detail in the access log where a call is ended because its token expired.
const EXPIRED: &str =
    "the token expired while the call waited for its answer (timeouts.max_after_expiry)";

/// The detail in the access log where the upstream's session id cannot be used.
const OTHER_SESSION: &str = "the Mcp-Session-Id of the MCP server's answer is another than the one that was sent, or is not visible ASCII of a usable length";

/// What the answer takes, and on what it depends.
pub(crate) struct Terms {
    /// Where the message is sent to.
    pub(crate) call: Call,
    /// What it must be sent to.
    pub(crate) issuer: Issuer,
    /// Its sealed values.
    pub(crate) values: OpenedValues,
    pub(crate) place: Place,
    /// The right of a listening stream's caller; a call has none.
    pub(crate) standing: Option<Box<Standing>>,
    /// The questions about the token of a call, where its issuer is asked.
    pub(crate) recheck: Option<Box<Recheck>>,
}

/// Sends a permitted message to the resource's upstream, and the head of the answer to the client.
pub(crate) async fn forward(
    exchange: &mut Exchange<'_>,
    resource: &ProtectedResource,
    permit: &Permit,
    message: &mut Message,
    route: Route,
    Terms {
        mut call,
        issuer,
        values,
        place,
        standing,
        recheck,
    }: Terms,
    query: Option<String>,
) -> Result<Option<Relay>, Stop> {
    let era = message.era;
    let last_event = match route.session() {
        Some(_) => last_event_id(exchange, resource)?,
        None => None,
    };
    let body = message.body.take().unwrap_or_default();
    let token_left = exchange.token_ends.since(clock::now());
    let mut stream_end = match standing {
        Some(standing) => {
            StreamEnd::of_listening(exchange.gateway, token_left).only_while(standing)
        }
        None => StreamEnd::of_call(token_left, exchange.snapshot.timeouts.max_after_expiry)
            .only_while_accepted(recheck),
    };
    let started = Instant::now();
    let listens = place.listens();
    let deadline = started + resource.response_head;
    let wait = Wait {
        listens,
        deadline: (!listens || route.is_of_http_sse()).then_some(deadline),
    };
    let credential = credential::obtain(exchange, resource, permit, wait, &mut stream_end).await?;
    let mut outgoing = Outgoing {
        endpoint: call.endpoint().clone(),
        resource,
        permit,
        message,
        session: route.session(),
        own_target: route.target(),
        last_event,
        query,
        credential,
    };
    let attempts = Attempts {
        outgoing: &mut outgoing,
        call: &mut call,
        issuer,
        wait,
    };
    let response = attempts.answer(exchange, body, &mut stream_end).await?;
    let endpoint = outgoing.endpoint;
    let response = response.map_err(|unanswered| match unanswered {
        Unanswered::Failed(error) => failed(exchange, &error).into(),
        Unanswered::Stop(stop) => stop,
    });
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
    check_status(exchange, &endpoint, &response)?;
    task_ids::seal_answer(exchange, resource, permit, message, values, endpoint.id());
    let (session, opens_stream) = match route {
        Route::Whole(session) => (session, false),
        Route::Stream => {
            opening::require_stream(exchange, response.status(), response.headers())?;
            (None, true)
        }
        Route::Message(_) => return message_accepted(exchange, response).await,
    };
    let session_id = match opens_stream {
        true => None,
        false => {
            let (id, response) = (endpoint.id(), &response);
            session_id::answer_id(exchange, resource, permit, id, response, era, session).map_err(
                |fault| match fault.detail.is_empty() {
                    true => Fault::new(fault.reason, OTHER_SESSION).into(),
                    false => Refusal::from(fault),
                },
            )?
        }
    };
    let has_body = !response.body().is_end_stream();
    let edit = exchange.edit.take().filter(|_| has_body);
    let response = match decoded(exchange, response, edit.is_some() || opens_stream) {
        Ok(response) => response,
        Err(Undecodable(response)) if !response.status().is_success() => {
            return without_body(exchange, *response, session_id).await;
        }
        Err(Undecodable(_)) => return Err(Reason::UpstreamEncoding.into()),
        Err(TooMany(reason)) => return Err(reason.into()),
    };
    let mut response = match edit {
        edit if opens_stream => {
            let at = (resource, permit, &endpoint);
            // Boxed: other answers are not to carry this.
            Box::pin(opening::open(
                exchange,
                at,
                response,
                edit,
                deadline,
                &mut stream_end,
            ))
            .await?
        }
        None => response.map(RelayedBody::Plain),
        Some(edit) => match AnswerForm::of(response.headers(), exchange.record) {
            Ok(AnswerForm::Events) => edited_events(exchange, response, edit),
            Ok(AnswerForm::Document) => {
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
    let form = RelayForm::of(exchange, &response);
    let head = response_head(exchange, &mut response, length, session_id);
    exchange.record.set_status(response.status());
    write_head(exchange.session, head).await?;
    let body = response.into_body();
    let relay = Relay::new(exchange, body, form, stream_end, (place, call));
    Ok(Some(relay))
}

/// An answer whose body cannot be had.
enum Unusable {
    /// Its content coding cannot be decoded.
    Undecodable(Box<Response<UpstreamBody>>),
    /// A limit on bodies in memory is reached.
    TooMany(Reason),
}
use Unusable::{TooMany, Undecodable};

/// The answer without its content coding, unless it can be read or forwarded as it is.
fn decoded(
    exchange: &mut Exchange<'_>,
    mut response: Response<UpstreamBody>,
    must_be_read: bool,
) -> Result<Response<AnswerBody>, Unusable> {
    let client = &exchange.session.req_header().headers;
    let coding = match coding::treatment(response.headers(), client, must_be_read) {
        Treatment::AsSent => return Ok(response.map(AnswerBody::AsSent)),
        _ if response.body().is_end_stream() => return Ok(response.map(AnswerBody::AsSent)),
        Treatment::Decoded(coding) => coding,
        Treatment::Refused => {
            exchange
                .record
                .set_detail(coding::detail(response.headers()));
            return Err(Undecodable(Box::new(response)));
        }
    };
    response.headers_mut().remove(CONTENT_ENCODING);
    let (parts, body) = response.into_parts();
    let reservation = exchange.body_reservation();
    match AnswerBody::decoded(body, coding, reservation, &exchange.snapshot.bodies) {
        Ok(body) => Ok(Response::from_parts(parts, body)),
        Err(reason) => {
            exchange.record.set_detail(BODIES);
            Err(TooMany(reason))
        }
    }
}

fn edited_events(
    exchange: &Exchange<'_>,
    response: Response<AnswerBody>,
    edit: Editing,
) -> Response<RelayedBody> {
    let reservation = exchange.body_reservation();
    response.map(|body| RelayedBody::edited(body, edit, reservation, &exchange.snapshot))
}

/// An answer that is edited as a whole.
struct WholeAnswer {
    response: Response<AnswerBody>,
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
    let mut response = Response::from_parts(parts, ());
    let body = match edited {
        Err(Stop::Refused(refusal))
            if cannot_be_read(refusal.reason) && !response.status().is_success() =>
        {
            return without_body(exchange, response, session_id).await;
        }
        edited => edited?,
    };
    let head = response_head(exchange, &mut response, Some(body.len() as u64), session_id);
    exchange.record.set_status(response.status());
    write_head(exchange.session, head).await?;
    write_whole(exchange.session, body).await?;
    Ok(None)
}

/// Whether the body of an answer is not what its head says.
const fn cannot_be_read(reason: Reason) -> bool {
    matches!(reason, Reason::AnswerUnreadable | Reason::UpstreamEncoding)
}

/// Writes an answer of the upstream without its body, which might hold a list.
async fn without_body<B>(
    exchange: &mut Exchange<'_>,
    mut response: Response<B>,
    session_id: Option<HeaderValue>,
) -> Result<Option<Relay>, Stop> {
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_ENCODING);
    let head = response_head(exchange, &mut response, Some(0), session_id);
    exchange.record.set_status(response.status());
    write_head(exchange.session, head).await?;
    write_whole(exchange.session, Bytes::new()).await?;
    Ok(None)
}

/// Writes the answer to a message of HTTP+SSE.
async fn message_accepted(
    exchange: &mut Exchange<'_>,
    response: Response<UpstreamBody>,
) -> Result<Option<Relay>, Stop> {
    let (parts, body) = response.into_parts();
    let written = without_body(exchange, Response::from_parts(parts, ()), None).await;
    accepted::discard(body).await;
    written
}

fn failed(exchange: &mut Exchange<'_>, error: &SendError) -> Reason {
    let (reason, detail) = match error {
        SendError::Unreachable(why) => (Reason::UpstreamUnreachable, why.clone()),
        SendError::Broken(why) => (
            Reason::UpstreamBroken,
            format!("no HTTP answer came from the MCP server: {why}"),
        ),
        SendError::Closed { why, .. } => {
            let kept = exchange.snapshot.timeouts.upstream_keep_alive;
            let detail = format!(
                "a kept connection closed before the answer: {why}; timeouts.upstream_keep_alive ({kept:?}) must be shorter than the MCP server's idle timeout"
            );
            (Reason::UpstreamBroken, detail)
        }
    };
    exchange.record.set_detail(detail);
    reason
}

/// Refuses the answer of an upstream that requests credentials itself, or redirects the client. Any other error is forwarded;
/// the record says that it is the upstream's.
fn check_status(
    exchange: &mut Exchange<'_>,
    endpoint: &Endpoint,
    response: &Response<UpstreamBody>,
) -> Result<(), Reason> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = endpoint.asked(&exchange.session.req_header().method);
    let detail = status::detail(status, response.headers(), asked);
    if let Some(detail) = detail {
        // That a query was removed may be the cause.
        let earlier = exchange.record.detail();
        let detail =
            earlier.map_or_else(|| detail.clone(), |earlier| format!("{detail}; {earlier}"));
        exchange.record.set_detail(detail);
    }
    status::refusal(status).map_or(Ok(()), Err)
}

/// These statuses have no Content-Length (RFC 9110 §8.6).
fn has_length(status: StatusCode) -> bool {
    !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length as a header, usually the one that was sent.
fn length_value(sent: &HeaderMap, length: u64) -> HeaderValue {
    let same = sent.get(CONTENT_LENGTH).filter(|sent| {
        let sent = sent.to_str().ok();
        sent.and_then(|sent| sent.parse().ok()) == Some(length)
    });
    same.cloned().unwrap_or_else(|| length.into())
}

/// The head of the client's answer, of the upstream's: its headers are moved, not copied.
fn response_head<B>(
    exchange: &Exchange<'_>,
    response: &mut Response<B>,
    length: Option<u64>,
    session_id: Option<HeaderValue>,
) -> Box<ResponseHeader> {
    let sent = mem::take(response.headers_mut());
    let length = length.filter(|_| has_length(response.status()));
    let length = length.map(|length| length_value(&sent, length));
    let mut headers = forwarding::to_client(sent);
    for (name, value) in cors::answer_headers(exchange.origin.as_ref()) {
        headers.append(name, value);
    }
    if let Some(nonce) = next_nonce(exchange) {
        headers.insert(DPOP_NONCE, nonce);
    }
    if let Some(id) = session_id {
        headers.insert(SESSION_ID, id);
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length);
    }
    let mut head = Response::new(());
    *head.status_mut() = response.status();
    *head.headers_mut() = headers;
    Box::new(head.into_parts().0.into())
}
