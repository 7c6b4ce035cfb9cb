//! A connection to an upstream while a request uses it.
//!
//! A hyper connection is a future that must be polled. Usually that is done in a separate task, and every message and every
//! frame wakes one task from another. Here the request that uses a connection polls it: nothing passes between tasks, and an
//! upstream's events are written to the client in the same turn in which they were read. A dropped request drops its
//! connection, so the upstream notices the disconnect at once.

use std::{
    error::Error as _,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{Connection, SendRequest},
};

use super::{
    error::SendError,
    tls::words::{self, OwnCertificate},
    wire::Wire,
};

/// A request to an upstream, with its whole body.
pub(super) type SentRequest = Request<Full<Bytes>>;

/// Why a request got no answer.
pub(super) enum Unanswered {
    /// None of it was sent.
    Unsent(Box<SentRequest>),
    /// The upstream closed the connection; it may have read the request.
    Closed(String),
    /// Its answer is not HTTP, or the connection failed otherwise.
    Broken(String),
}

impl Unanswered {
    fn of(error: &hyper::Error, own: OwnCertificate) -> Self {
        let closes = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            )
        };
        let io = error.source().and_then(|source| source.downcast_ref());
        match error.is_incomplete_message() || io.is_some_and(closes) {
            true => Self::Closed(words::cause(error, own)),
            false => Self::Broken(words::cause(error, own)),
        }
    }
}

impl From<Unanswered> for SendError {
    fn from(unanswered: Unanswered) -> Self {
        Self::Broken(match unanswered {
            Unanswered::Unsent(_) => "the connection closed before the request was sent".to_owned(),
            Unanswered::Closed(why) | Unanswered::Broken(why) => why,
        })
    }
}

/// A connection that one request at a time uses.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// None once the connection has closed.
    connection: Option<Box<Connection<Wire, Full<Bytes>>>>,
    /// A server may refuse it only after the handshake.
    own: OwnCertificate,
}

impl Link {
    pub(super) fn new(
        sender: SendRequest<Full<Bytes>>,
        connection: Connection<Wire, Full<Bytes>>,
        own: OwnCertificate,
    ) -> Self {
        Self {
            sender,
            connection: Some(Box::new(connection)),
            own,
        }
    }

    /// Sends `request` and waits for the head of its answer. The body is read while [`Link::drive`] drives the connection.
    ///
    /// # Errors
    /// The connection broke off.
    pub(super) async fn exchange(
        mut self,
        request: SentRequest,
    ) -> Result<(Response<Incoming>, Self), Unanswered> {
        let mut answered = pin!(self.sender.try_send_request(request));
        let mut has_begun = false;
        let answered = poll_fn(|cx| match answered.as_mut().poll(cx) {
            Poll::Pending => {
                has_begun |= drive(&mut self.connection, cx);
                answered.as_mut().poll(cx)
            }
            ready => ready,
        });
        match answered.await {
            Ok(response) => Ok((response, self)),
            Err(mut error) => Err(match error.take_message() {
                Some(request) => Unanswered::Unsent(Box::new(request)),
                // The upstream was at work on the request: this is not a connection that it closed because it was idle.
                None if has_begun => Unanswered::Broken(words::cause(error.error(), self.own)),
                None => Unanswered::of(error.error(), self.own),
            }),
        }
    }

    /// Lets the connection read and write what it can.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Whether another request may be sent: the last answer was read to its end, and the upstream keeps the connection open.
    pub(super) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// A separate function, because the request that is being sent borrows the sender next to the connection. Returns whether the
/// connection has ended within the head of an answer.
fn drive(
    connection: &mut Option<Box<Connection<Wire, Full<Bytes>>>>,
    cx: &mut Context<'_>,
) -> bool {
    if let Some(running) = connection
        && Pin::new(running).poll(cx).is_ready()
    {
        // The pending request or body gets the error.
        let ended = connection.take();
        return ended.is_some_and(|ended| !ended.into_parts().read_buf.is_empty());
    }
    false
}
