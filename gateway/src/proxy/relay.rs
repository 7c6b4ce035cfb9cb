//! The upstream's body on its way to the client, chunk by chunk, for as long as both want.
//!
//! Nothing is buffered and nothing limits the silence between two events. The client going away closes the upstream's
//! connection at once; the upstream breaking off breaks the client's answer visibly. A stream that only listens ends
//! cleanly when the gateway drains. The gateway never writes a message into a stream, only comments between events, so
//! that load balancers do not cut what is merely quiet.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::BodyExt;
use mcp_gateway_core::mcp::sse::{COMMENT, EventBoundary};
use pingora::protocols::http::ServerSession;
use tokio::{sync::watch, task::yield_now, time::sleep};

use super::{account::Account, answer::within, journey::Broken};
use crate::{gateway::Gateway, telemetry::metrics::Counted, upstream::Answer};

/// An answer whose head is written and whose body is not.
pub(super) struct Relay {
    body: Answer,
    /// The answer is an event stream into which comments may go.
    comments: bool,
    /// The answer only listens, so it may be ended for the client to come back.
    listens: bool,
    /// Counts the stream for as long as it is open.
    _open: Option<Counted>,
}

impl Relay {
    /// The rest of `response`, whose head has been passed on.
    pub(super) fn of(response: Response<Answer>, listens: bool, account: &Account) -> Self {
        let headers = response.headers();
        let is_stream = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        let is_open_ended = response.body().size_hint().exact().is_none();
        Self {
            comments: is_stream
                && is_open_ended
                && response.status() == StatusCode::OK
                && !headers.contains_key(CONTENT_ENCODING),
            listens: listens && is_stream,
            _open: is_stream.then(|| Counted::new(account.stream_gauge())),
            body: response.into_body(),
        }
    }
}

/// What happens next on a relayed answer.
enum Event {
    Data(Bytes),
    /// The upstream has said everything.
    End,
    /// The upstream broke off.
    Truncated,
    /// The client is gone.
    Gone,
    /// Nothing happened for a while.
    Silence,
    /// The gateway drains.
    Drain,
}

/// Relays to the end.
///
/// # Errors
/// [`Broken`] when one side went away in the middle: the connection must not be used again.
pub(super) async fn relay(
    mut relay: Relay,
    session: &mut ServerSession,
    gateway: &Gateway,
    account: &mut Account,
) -> Result<(), Broken> {
    let silence = gateway.snapshot().timeouts.sse_comment;
    let comments = relay.comments && !silence.is_zero();
    let mut boundary = EventBoundary::new();
    let mut draining = relay.listens.then(|| gateway.draining());
    loop {
        let silence = (comments && boundary.at_boundary()).then_some(silence);
        match next(&mut relay.body, session, silence, draining.as_mut()).await {
            Event::Data(data) => {
                if comments {
                    boundary.push(&data);
                }
                let last = relay.body.is_end_stream();
                write(session, data, last).await?;
                if last {
                    return Ok(());
                }
            }
            Event::Silence => write(session, Bytes::from_static(COMMENT), false).await?,
            Event::End | Event::Drain => return write(session, Bytes::new(), true).await,
            Event::Truncated => {
                account.upstream_error("reset");
                return Err(Broken);
            }
            Event::Gone => return Err(Broken),
        }
    }
}

async fn next(
    body: &mut Answer,
    session: &mut ServerSession,
    silence: Option<Duration>,
    draining: Option<&mut watch::Receiver<bool>>,
) -> Event {
    let quiet = async {
        match silence {
            Some(silence) => sleep(silence).await,
            None => pending().await,
        }
    };
    let drain = async {
        match draining {
            // The sender lives as long as the gateway.
            Some(draining) => drop(draining.wait_for(|draining| *draining).await),
            None => pending().await,
        }
    };
    let is_open_ended = body.size_hint().exact().is_none();
    if is_open_ended && let Some(event) = this_turn(body).await {
        return event;
    }
    tokio::select! {
        biased;
        event = data(body) => event,
        _ = session.read_body_or_idle(true) => Event::Gone,
        () = quiet => Event::Silence,
        () = drain => Event::Drain,
    }
}

/// What the upstream says in this turn of the scheduler. What was written goes out when the client is waited on, so
/// events that come together leave together: an idle process loses no time by it, a busy one saves a write for each.
async fn this_turn(body: &mut Answer) -> Option<Event> {
    if let Some(event) = ready(body).await {
        return Some(event);
    }
    yield_now().await;
    ready(body).await
}

async fn ready(body: &mut Answer) -> Option<Event> {
    poll_fn(|cx| {
        Poll::Ready(match pin!(data(body)).poll(cx) {
            Poll::Ready(event) => Some(event),
            Poll::Pending => None,
        })
    })
    .await
}

/// The upstream's next bytes; trailers are dropped.
async fn data(body: &mut Answer) -> Event {
    loop {
        match body.frame().await {
            None => return Event::End,
            Some(Err(_)) => return Event::Truncated,
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

async fn write(session: &mut ServerSession, data: Bytes, last: bool) -> Result<(), Broken> {
    let deadline = session.get_write_timeout();
    within(deadline, session.write_response_body(data, last)).await
}
