//! Relays the upstream's body to the client, chunk by chunk.
//!
//! Nothing is buffered, and silence between two events has no limit. When the client disconnects, the upstream's connection
//! closes at once; when the upstream breaks off, the client's answer ends visibly incomplete. A listening stream ends
//! cleanly when the gateway drains, the caller's token expires or the caller may not listen any more; an answer to a call may continue for a while after that.
//! The gateway never writes a message into a stream, only comments between events, so that load balancers do not close a
//! quiet stream. Events that are edited arrive here already edited ([`body`](super::body)).

use std::{
    future::{pending, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_ENCODING};
use http_body::Body;
use http_body_util::BodyExt;
use mcp_gateway_core::{
    http::forwarding::is_event_stream,
    sse::{COMMENT, EventBoundary},
};
use tokio::{task::yield_now, time::sleep};

use super::{
    body::{Cut, RelayedBody},
    stream_end::StreamEnd,
    write::client_side::ClientSide,
};
use crate::{
    limits::in_flight::Place,
    request::{
        exchange::{Broken, Exchange},
        record::Record,
    },
    telemetry::{
        metrics::{Counted, Metrics},
        request_view::BrokenBy,
    },
    upstream::Call,
};

/// An answer whose head is written and whose body is still to be relayed.
pub(crate) struct Relay {
    body: RelayedBody,
    /// The silence after which a comment is written into the stream; none where comments are not possible.
    silence: Option<Duration>,
    /// When the gateway ends the answer, even if the upstream continues.
    stream_end: StreamEnd,
    /// An event stream: the gateway may end it cleanly between two events.
    is_stream: bool,
    /// Its place among the calls in flight or the listening streams, and among the calls of its endpoint.
    _places: (Place, Call),
    /// Counts the stream while it is open.
    _open: Option<Counted>,
}

/// What is relayed, as the head of the answer says.
#[derive(Clone, Copy)]
pub(crate) struct RelayForm {
    silence: Option<Duration>,
    is_stream: bool,
}

impl RelayForm {
    /// That of an answer.
    pub(crate) fn of(exchange: &Exchange<'_>, response: &Response<RelayedBody>) -> Self {
        // A silence of zero means no comments.
        let silence = exchange.snapshot.timeouts.sse_comment;
        let headers = response.headers();
        let is_stream = is_event_stream(headers);
        let takes_comments = is_stream
            && response.body().size_hint().exact().is_none()
            && response.status() == StatusCode::OK
            && !headers.contains_key(CONTENT_ENCODING)
            && !silence.is_zero();
        Self {
            silence: takes_comments.then_some(silence),
            is_stream,
        }
    }
}

impl Relay {
    /// The rest of an answer, whose head has been written.
    pub(crate) fn new(
        exchange: &Exchange<'_>,
        body: RelayedBody,
        RelayForm { silence, is_stream }: RelayForm,
        stream_end: StreamEnd,
        places: (Place, Call),
    ) -> Self {
        Self {
            silence,
            stream_end,
            is_stream,
            _places: places,
            _open: is_stream.then(|| {
                let resource = exchange.record.resource_label();
                Counted::new(exchange.gateway.metrics().open_streams(resource))
            }),
            body,
        }
    }

    /// Whether it is an event stream, which may last for hours.
    pub(crate) const fn is_stream(&self) -> bool {
        self.is_stream
    }
}

/// The next event of a relayed answer.
enum Event {
    Data(Bytes),
    /// The upstream's answer is complete.
    End,
    /// The upstream broke off, or sent something that must not be forwarded.
    Cut(Cut),
    /// The client disconnected.
    Gone,
    /// Silence: time for a comment.
    Silence,
    /// The end of the stream is reached.
    StreamEnd,
}

/// Relays until the end.
///
/// # Errors
/// [`Broken`] when one side disconnected in the middle: the connection must not be used again.
pub(crate) async fn relay(
    relay: &mut Relay,
    client: &mut impl ClientSide,
    record: &mut Record,
    metrics: &Metrics,
) -> Result<(), Broken> {
    let mut boundary = EventBoundary::new();
    loop {
        let was_at_boundary = boundary.at_boundary();
        match next(relay, client, was_at_boundary).await {
            Event::Data(data) => {
                if relay.silence.is_some() {
                    boundary.push(&data);
                }
                let last = relay.body.is_end_stream();
                if relay.is_stream && was_at_boundary && relay.stream_end.is_reached() {
                    return end(relay, client, record).await;
                }
                client.write(data, last).await?;
                if last {
                    return Ok(());
                }
                if relay.stream_end.is_reached() {
                    return end(relay, client, record).await;
                }
            }
            Event::Silence => client.write(Bytes::from_static(COMMENT), false).await?,
            Event::End => return client.write(Bytes::new(), true).await,
            Event::StreamEnd => return end(relay, client, record).await,
            Event::Cut(Cut::Upstream) => {
                metrics.count_upstream_reset(record.resource_label());
                record.set_broken_by(BrokenBy::Upstream);
                return Err(Broken);
            }
            Event::Cut(Cut::Refused(reason, why)) => {
                metrics.count_upstream_failure(record.resource_label(), reason);
                record.set_detail(why);
                record.set_broken_by(BrokenBy::Gateway);
                return Err(Broken);
            }
            Event::Gone => return Err(Broken),
        }
    }
}

/// Ends an answer before its upstream does: a stream cleanly, any other answer visibly incomplete.
async fn end(
    relay: &Relay,
    client: &mut impl ClientSide,
    record: &mut Record,
) -> Result<(), Broken> {
    relay.stream_end.note_end(record);
    if relay.is_stream {
        return client.write(Bytes::new(), true).await;
    }
    record.set_broken_by(BrokenBy::Gateway);
    Err(Broken)
}

async fn next(relay: &mut Relay, client: &mut impl ClientSide, at_boundary: bool) -> Event {
    let is_open_ended = relay.body.size_hint().exact().is_none();
    let now = match is_open_ended {
        true => this_turn(&mut relay.body).await,
        false => ready(&mut relay.body).await,
    };
    match now {
        Some(event) => event,
        // Boxed: only an answer that waits is to carry this.
        None => Box::pin(wait(relay, client, at_boundary)).await,
    }
}

async fn wait(relay: &mut Relay, client: &mut impl ClientSide, at_boundary: bool) -> Event {
    let quiet = async {
        match relay.silence.filter(|_| at_boundary) {
            Some(silence) => sleep(silence).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        event = data(&mut relay.body) => event,
        () = client.gone() => Event::Gone,
        () = quiet => Event::Silence,
        () = relay.stream_end.reached() => Event::StreamEnd,
    }
}

/// What the upstream sends in this turn of the scheduler. Written data is sent when the gateway waits on the client, so
/// events that arrive together are sent together: this costs an idle process no time, and saves a busy one a write per
/// event.
async fn this_turn(body: &mut RelayedBody) -> Option<Event> {
    if let Some(event) = ready(body).await {
        return Some(event);
    }
    yield_now().await;
    ready(body).await
}

async fn ready(body: &mut RelayedBody) -> Option<Event> {
    poll_fn(|cx| {
        Poll::Ready(match pin!(data(body)).poll(cx) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    })
    .await
}

/// The upstream's next bytes; trailers are dropped.
async fn data(body: &mut RelayedBody) -> Event {
    loop {
        match body.frame().await {
            None => return Event::End,
            Some(Err(cut)) => return Event::Cut(cut),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    return Event::Data(data);
                }
            }
        }
    }
}
