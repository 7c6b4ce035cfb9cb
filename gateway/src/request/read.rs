//! Phase 4: the request body, up to its limits, and the one message in it.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Method, Version, header};
use mcp_gateway_core::{http::media_type, mcp::message::Message, refusal::reason::Reason};
use pingora::protocols::http::ServerSession;
use tokio::time::timeout;

use crate::request::exchange::{Broken, Exchange, Stop};
use crate::{
    limits::{accounts::AddressAccount, body_budget::BodyReservation},
    snapshot::Snapshot,
};

/// Reads the message of a POST; GET and DELETE have none.
pub(crate) async fn message(exchange: &mut Exchange<'_>) -> Result<Message, Stop> {
    let head = exchange.session.req_header();
    let method = head.method.clone();
    if method != Method::POST {
        let message = Message::without_body(&method, &head.headers)?;
        if !exchange.session.is_body_empty() {
            return Err(Reason::BadFraming.into());
        }
        refuse_version(exchange, &message)?;
        return Ok(message);
    }
    media_type::json_body(&head.headers)?;
    let snapshot = exchange.snapshot.clone();
    let reservation = exchange.body_reservation();
    let (gateway, client) = (exchange.gateway, exchange.record.client_address());
    let sender = || gateway.address_account(client);
    let body = body(exchange.session, &snapshot, reservation, sender).await?;
    let headers = &exchange.session.req_header().headers;
    let message = Message::read(&body, headers, &snapshot.json).map_err(|unreadable| {
        exchange.rpc_id = unreadable.id;
        unreadable.reason
    })?;
    exchange.rpc_id.clone_from(&message.id);
    refuse_version(exchange, &message)?;
    Ok(message)
}

/// Refuses a version that the resource does not list, if it has a list.
fn refuse_version(exchange: &mut Exchange<'_>, message: &Message) -> Result<(), Reason> {
    let resource = exchange.resource.as_ref();
    let Some(supported) = resource.and_then(|resource| resource.supported.as_ref()) else {
        return Ok(());
    };
    let outcome = supported.judge(message.era, message.version.as_deref(), message.asked());
    outcome.map_err(|unsupported| {
        let detail = format!("protocol version {}", unsupported.requested);
        exchange.record.set_detail(detail);
        exchange.refused_version = Some(unsupported.requested);
        unsupported.reason
    })
}

async fn body(
    session: &mut ServerSession,
    snapshot: &Snapshot,
    reservation: BodyReservation,
    sender: impl FnOnce() -> Arc<AddressAccount>,
) -> Result<Bytes, Stop> {
    let (limits, timeouts) = (&snapshot.limits, &snapshot.timeouts);
    let announced = announced(session);
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(Reason::BodyTooLarge.into());
    }
    let head = session.req_header();
    if head.version == Version::HTTP_11 && head.headers.contains_key(header::EXPECT) {
        session
            .write_continue_response()
            .await
            .map_err(|_| Broken)?;
    }
    let whole = collect(session, snapshot, reservation, sender, announced);
    timeout(timeouts.body_total, whole)
        .await
        .unwrap_or(Err(Reason::BodyTimeout.into()))
}

async fn collect(
    session: &mut ServerSession,
    snapshot: &Snapshot,
    mut reservation: BodyReservation,
    sender: impl FnOnce() -> Arc<AddressAccount>,
    announced: Option<usize>,
) -> Result<Bytes, Stop> {
    let mut body = Collected::new(announced);
    let mut sender = Some(sender);
    while let Some(chunk) = chunk(session, snapshot.timeouts.body_idle).await? {
        if body.len() + chunk.len() > snapshot.limits.body_bytes {
            return Err(Reason::BodyTooLarge.into());
        }
        reservation.grow(chunk.len(), &snapshot.bodies)?;
        body.add(chunk);
        // Usually the first read returns all of it. A client that makes the gateway wait holds memory meanwhile.
        if !session.is_body_done()
            && let Some(sender) = sender.take()
        {
            reservation.count_for(sender(), &snapshot.bodies)?;
        }
    }
    Ok(reservation.attach_to(body.whole()))
}

async fn chunk(session: &mut ServerSession, idle: Duration) -> Result<Option<Bytes>, Stop> {
    let read = timeout(idle, session.read_request_body()).await;
    read.map_err(|_| Reason::BodyTimeout)?
        .map_err(|error| unread(&error))
}

fn announced(session: &ServerSession) -> Option<usize> {
    let length = session.req_header().headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// When a body breaks off, there is no client to answer; an invalid chunk is refused.
fn unread(error: &pingora::Error) -> Stop {
    use pingora::ErrorType::{ConnectionClosed, H2Error, ReadError};
    match error.etype() {
        ConnectionClosed | ReadError | H2Error => Stop::Broken,
        _ => Reason::BadFraming.into(),
    }
}

/// The received part of a body. Usually one read returns all of it, and nothing is copied.
struct Collected {
    first: Bytes,
    rest: BytesMut,
    announced: Option<usize>,
}

impl Collected {
    fn new(announced: Option<usize>) -> Self {
        Self {
            first: Bytes::new(),
            rest: BytesMut::new(),
            announced,
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn add(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if self.rest.is_empty() {
            // With an announced length the buffer never moves again; unused pages take no memory.
            self.rest.reserve(self.announced.unwrap_or_default());
            self.rest
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&chunk);
    }

    fn whole(self) -> Bytes {
        match self.rest.is_empty() {
            true => self.first,
            false => self.rest.freeze(),
        }
    }
}
