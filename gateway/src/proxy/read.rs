//! Phase 4: the request body, up to its limits, and the one message in it.

use bytes::{Bytes, BytesMut};
use http::{Method, Version, header};
use mcp_gateway_core::{
    auth::reason::Reason,
    http::media_type,
    mcp::{
        envelope::{Envelope, Kind},
        headers,
        version::Era,
    },
};
use pingora::protocols::http::ServerSession;
use tokio::time::timeout;

use super::journey::{Broken, Exchange, Stop};
use crate::config::{Limits, Timeouts};

/// What a client asks for, and the bytes it said it with.
pub(super) struct Message {
    pub(super) era: Era,
    /// The message's method; none for GET, DELETE and legacy responses.
    pub(super) method: Option<String>,
    /// What the method is applied to: a tool, a prompt, a resource URI, a task.
    pub(super) name: Option<String>,
    /// The message as it came; none for GET and DELETE.
    pub(super) body: Option<Bytes>,
    /// The answer is a stream that only listens: it has no end of its own.
    pub(super) listens: bool,
}

impl Message {
    /// Whether this opens a legacy session.
    pub(super) fn initializes(&self) -> bool {
        self.era == Era::Legacy && self.method.as_deref() == Some("initialize")
    }
}

/// Reads the message of a POST; GET and DELETE have none.
pub(super) async fn message(exchange: &mut Exchange<'_>) -> Result<Message, Stop> {
    let head = exchange.session.req_header();
    let method = head.method.clone();
    if method != Method::POST {
        let era = headers::agree_without_body(&head.headers)?;
        if !exchange.session.is_body_empty() {
            return Err(Reason::BadFraming.into());
        }
        return Ok(without_body(era, &method));
    }
    media_type::json_body(&head.headers)?;
    let snapshot = exchange.snapshot.clone();
    let body = body(exchange.session, &snapshot.limits, &snapshot.timeouts).await?;
    let envelope = Envelope::read(&body, &snapshot.json).map_err(|unreadable| {
        exchange.rpc_id = unreadable.id;
        unreadable.reason
    })?;
    exchange.rpc_id = envelope.id().cloned();
    let era = headers::agree(&envelope, &exchange.session.req_header().headers)?;
    let method = (envelope.kind() != Kind::Response)
        .then(|| envelope.method())
        .flatten();
    Ok(Message {
        era,
        listens: method == Some("subscriptions/listen"),
        method: method.map(str::to_owned),
        name: envelope.name().map(str::to_owned),
        body: Some(body.clone()),
    })
}

fn without_body(era: Era, method: &Method) -> Message {
    Message {
        era,
        method: None,
        name: None,
        body: None,
        listens: method == Method::GET,
    }
}

async fn body(
    session: &mut ServerSession,
    limits: &Limits,
    timeouts: &Timeouts,
) -> Result<Bytes, Stop> {
    if announced(session).is_some_and(|length| length > limits.body_bytes) {
        return Err(Reason::BodyTooLarge.into());
    }
    let head = session.req_header();
    if head.version == Version::HTTP_11 && head.headers.contains_key(header::EXPECT) {
        session
            .write_continue_response()
            .await
            .map_err(|_| Broken)?;
    }
    let whole = collect(session, limits.body_bytes, timeouts.body_idle);
    timeout(timeouts.body_total, whole)
        .await
        .unwrap_or(Err(Reason::BodyTimeout.into()))
}

fn announced(session: &ServerSession) -> Option<usize> {
    let length = session.req_header().headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// A body that breaks off has nobody left to tell; one whose chunks make no sense is refused.
fn unread(error: &pingora::Error) -> Stop {
    use pingora::ErrorType::{ConnectionClosed, H2Error, ReadError};
    match error.etype() {
        ConnectionClosed | ReadError | H2Error => Stop::Broken,
        _ => Reason::BadFraming.into(),
    }
}

async fn collect(
    session: &mut ServerSession,
    limit: usize,
    idle: std::time::Duration,
) -> Result<Bytes, Stop> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let read = timeout(idle, session.read_request_body()).await;
        let chunk = read
            .map_err(|_| Reason::BodyTimeout)?
            .map_err(|error| unread(&error))?;
        let Some(chunk) = chunk else { break };
        if first.len() + rest.len() + chunk.len() > limit {
            return Err(Reason::BodyTooLarge.into());
        }
        match first.is_empty() {
            true => first = chunk,
            false => rest.extend_from_slice(&chunk),
        }
    }
    if rest.is_empty() {
        // The usual case: one read held it all, and nothing is copied.
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}
