//! Phase 4: the request body, up to its limits, and the one message in it.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Version, header};
use mcp_gateway_core::{
    http::media_type,
    mcp::{
        envelope::{Envelope, Kind},
        headers,
        supported::Asked,
        tasks::TaskUse,
        version::Era,
    },
    policy::{Operation, Reference},
    refusal::reason::Reason,
};
use pingora::protocols::http::ServerSession;
use tokio::time::timeout;

use crate::request::exchange::{Broken, Exchange, Stop};
use crate::{
    limits::body_budget::{BodyBudget, BodyReservation},
    snapshot::Snapshot,
};

/// What a client asks for, and the bytes it said it with.
pub(crate) struct Message {
    pub(crate) era: Era,
    /// The message's method; none for GET, DELETE and legacy responses.
    pub(crate) method: Option<String>,
    /// What the method is applied to: a tool, a prompt, a resource URI, a task.
    pub(crate) name: Option<String>,
    /// What the message touches besides its name.
    pub(crate) references: Vec<Reference>,
    /// The arguments of a tool or prompt: a part of the body.
    pub(crate) arguments: Option<Bytes>,
    /// The protocol version that the message or its header names.
    pub(crate) version: Option<String>,
    /// The message as it came; none for GET and DELETE.
    pub(crate) body: Option<Bytes>,
    /// What the message has to do with tasks, besides what its method says.
    pub(crate) task_use: TaskUse,
    /// `Mcp-Name` for the upstream, where that is another than the client's.
    pub(crate) mirror: Option<HeaderValue>,
    /// The answer is a stream that only listens: it has no end of its own.
    pub(crate) listens: bool,
}

impl Message {
    /// What the policy judges.
    pub(crate) fn operation(&self) -> Operation<'_> {
        Operation {
            method: self.method.as_deref(),
            name: self.name.as_deref(),
            references: &self.references,
            arguments: self.arguments.as_deref(),
            version: self.version.as_deref(),
        }
    }

    /// Whether this opens a legacy session.
    pub(crate) fn initializes(&self) -> bool {
        self.era == Era::Legacy && self.method.as_deref() == Some("initialize")
    }

    /// Whether this answers a request of the server: a message that calls nothing.
    pub(crate) const fn answers(&self) -> bool {
        self.body.is_some() && self.method.is_none()
    }
}

/// Reads the message of a POST; GET and DELETE have none.
pub(crate) async fn message(exchange: &mut Exchange<'_>) -> Result<Message, Stop> {
    let head = exchange.session.req_header();
    let method = head.method.clone();
    if method != Method::POST {
        let era = headers::agree_without_body(&head.headers)?;
        let version = headers::version(&head.headers).map(str::to_owned);
        if !exchange.session.is_body_empty() {
            return Err(Reason::BadFraming.into());
        }
        refuse_version(exchange, era, None, Asked::Bodiless)?;
        return Ok(without_body(era, &method, version));
    }
    media_type::json_body(&head.headers)?;
    let snapshot = exchange.snapshot.clone();
    let bodies = exchange.gateway.body_budget();
    let body = body(exchange.session, &snapshot, bodies).await?;
    let envelope = Envelope::read(&body, &snapshot.json).map_err(|unreadable| {
        exchange.rpc_id = unreadable.id;
        unreadable.reason
    })?;
    exchange.rpc_id = envelope.id().cloned();
    let era = headers::agree(&envelope, &exchange.session.req_header().headers)?;
    let method = (envelope.kind() != Kind::Response)
        .then(|| envelope.method())
        .flatten();
    let asked = match method {
        Some("initialize") => Asked::Opening(envelope.proposed_version()),
        _ => Asked::Message,
    };
    refuse_version(exchange, era, envelope.meta_version(), asked)?;
    let sent = &exchange.session.req_header().headers;
    Ok(Message {
        era,
        listens: method == Some("subscriptions/listen"),
        method: method.map(str::to_owned),
        name: envelope.name().map(str::to_owned),
        references: envelope.references().to_vec(),
        arguments: envelope.arguments().map(|raw| body.slice_ref(raw)),
        version: envelope
            .meta_version()
            .or_else(|| headers::version(sent))
            .map(str::to_owned),
        task_use: envelope.task_use(),
        mirror: None,
        body: Some(body.clone()),
    })
}

/// Refuses a version that the resource does not list, where it lists any.
fn refuse_version(
    exchange: &mut Exchange<'_>,
    era: Era,
    in_meta: Option<&str>,
    asked: Asked<'_>,
) -> Result<(), Reason> {
    let resource = exchange.resource.as_ref();
    let Some(supported) = resource.and_then(|resource| resource.supported.as_ref()) else {
        return Ok(());
    };
    let version = in_meta.or_else(|| headers::version(&exchange.session.req_header().headers));
    supported.judge(era, version, asked).map_err(|unsupported| {
        let told = format!("protocol version {}", unsupported.requested);
        exchange.record.set_detail(told);
        exchange.refused_version = Some(unsupported.requested);
        unsupported.reason
    })
}

fn without_body(era: Era, method: &Method, version: Option<String>) -> Message {
    Message {
        era,
        method: None,
        name: None,
        references: Vec::new(),
        arguments: None,
        version,
        body: None,
        task_use: TaskUse::None,
        mirror: None,
        listens: method == Method::GET,
    }
}

async fn body(
    session: &mut ServerSession,
    snapshot: &Snapshot,
    bodies: &Arc<BodyBudget>,
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
    let whole = collect(session, snapshot, bodies.reservation(), announced);
    timeout(timeouts.body_total, whole)
        .await
        .unwrap_or(Err(Reason::BodyTimeout.into()))
}

async fn collect(
    session: &mut ServerSession,
    snapshot: &Snapshot,
    mut held: BodyReservation,
    announced: Option<usize>,
) -> Result<Bytes, Stop> {
    let mut body = Collected::new(announced);
    while let Some(chunk) = chunk(session, snapshot.timeouts.body_idle).await? {
        if body.len() + chunk.len() > snapshot.limits.body_bytes {
            return Err(Reason::BodyTooLarge.into());
        }
        held.grow(chunk.len(), snapshot.body_budget_bytes)?;
        body.add(chunk);
    }
    Ok(held.attach_to(body.whole()))
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

/// A body that breaks off has nobody left to tell; one whose chunks make no sense is refused.
fn unread(error: &pingora::Error) -> Stop {
    use pingora::ErrorType::{ConnectionClosed, H2Error, ReadError};
    match error.etype() {
        ConnectionClosed | ReadError | H2Error => Stop::Broken,
        _ => Reason::BadFraming.into(),
    }
}

/// What has come of a body. Usually one read brings it all, and nothing is copied.
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
            // Where the length was announced, it never moves again; what is not used yet takes no memory.
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
