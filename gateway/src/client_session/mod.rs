//! One request of a client and its answer: over HTTP/1.1 on a connection of the gateway's own ([`http1`]), over HTTP/2 on a stream that
//! Pingora reads.
//!
//! Both sides of HTTP/1.1 are the gateway's own because they hold memory only for bytes that wait, and read each byte once. Framing is
//! decided in the core (`mcp_gateway_core::http::framing`).

mod fault;
pub(crate) mod http1;
mod writer;

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, header::CONTENT_LENGTH};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::{Stream, http::v2::server::HttpSession as Http2},
};

pub(crate) use fault::{BodyFault, HeadFault, Unwritten};
use http1::Http1;
pub(crate) use writer::{begin_chunk, is_bodiless};

/// A request of a client, and its answer.
pub(crate) enum ClientSession {
    /// Over HTTP/1.0 or HTTP/1.1.
    Http1(Http1),
    /// A stream of an HTTP/2 connection.
    Http2(Http2),
}

impl ClientSession {
    /// The next request on a connection of HTTP/1.1, of which `begun` was read already.
    pub(crate) fn http1(stream: Stream, begun: Bytes) -> Self {
        Self::Http1(Http1::new(stream, begun))
    }

    /// Reads the head of the request. Returns whether there is one: the client may also disconnect.
    ///
    /// # Errors
    /// What the client sent is not a head.
    pub(crate) async fn read_head(&mut self) -> Result<bool, HeadFault> {
        match self {
            Self::Http1(session) => poll_fn(|cx| session.poll_head(cx)).await,
            Self::Http2(_) => Ok(true),
        }
    }

    /// The head of the request.
    pub(crate) fn req_header(&self) -> &RequestHeader {
        match self {
            Self::Http1(session) => session.head(),
            Self::Http2(session) => session.req_header(),
        }
    }

    pub(crate) fn req_header_mut(&mut self) -> &mut RequestHeader {
        match self {
            Self::Http1(session) => session.head_mut(),
            Self::Http2(session) => session.req_header_mut(),
        }
    }

    /// The request target of HTTP/1.1 as it was sent; none over HTTP/2.
    pub(crate) fn raw_target(&self) -> Option<&Bytes> {
        match self {
            Self::Http1(session) => Some(session.target()),
            Self::Http2(_) => None,
        }
    }

    pub(crate) const fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// The next part of the request's body; none once it is complete.
    ///
    /// # Errors
    /// The client disconnected, or the body is not what the head says.
    pub(crate) fn read_body(&mut self) -> impl Future<Output = Result<Option<Bytes>, BodyFault>> {
        poll_fn(|cx| self.poll_body(cx))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyFault>> {
        match self {
            Self::Http1(session) => session.poll_body(cx),
            Self::Http2(session) => {
                let read = ready!(session.poll_read_body_bytes(cx));
                Poll::Ready(read.transpose().map_err(|_| BodyFault::Gone))
            }
        }
    }

    /// The length of the body, where the head announced it.
    pub(crate) fn announced_length(&self) -> Option<u64> {
        match self {
            Self::Http1(session) => session.announced_length(),
            Self::Http2(session) => writer::length(&session.req_header().headers),
        }
    }

    /// Whether the whole body was read.
    pub(crate) fn is_body_done(&self) -> bool {
        match self {
            Self::Http1(session) => session.is_body_done(),
            Self::Http2(session) => session.is_body_done(),
        }
    }

    /// Whether the request has no body.
    pub(crate) fn is_body_empty(&self) -> bool {
        match self {
            Self::Http1(session) => session.is_body_empty(),
            Self::Http2(session) => session.is_body_empty(),
        }
    }

    /// Asks a client of HTTP/1.1 for the body that it waits with (RFC 9110 §10.1.1).
    ///
    /// # Errors
    /// The client disconnected.
    pub(crate) async fn write_continue(&mut self) -> Result<(), Unwritten> {
        match self {
            Self::Http1(session) => session.write_continue().await,
            Self::Http2(_) => Ok(()),
        }
    }

    /// Writes the head of the answer. A second one is not written.
    ///
    /// # Errors
    /// The client disconnected.
    pub(crate) async fn write_head(&mut self, head: Box<ResponseHeader>) -> Result<(), Unwritten> {
        match self {
            Self::Http1(session) => session.write_head(&head).await,
            Self::Http2(session) => {
                let written = session.write_response_header(head, false);
                written.map_err(|_| Unwritten)
            }
        }
    }

    /// Writes a part of the answer's body; the `last` one ends it.
    ///
    /// # Errors
    /// The client disconnected, or the body is not as long as its head says.
    pub(crate) async fn write_body(&mut self, data: Bytes, last: bool) -> Result<(), Unwritten> {
        if data.is_empty() && !last {
            return Ok(());
        }
        match self {
            Self::Http1(session) => session.write_body(data, last).await,
            Self::Http2(session) => session.write_body(data, last).await.map_err(|_| Unwritten),
        }
    }

    /// Bytes of the answer's body that were written, without those around them.
    pub(crate) fn body_bytes_sent(&self) -> usize {
        match self {
            Self::Http1(session) => session.body_bytes_sent(),
            Self::Http2(session) => session.body_bytes_sent(),
        }
    }

    /// Whether the head of an answer was written.
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::Http1(session) => session.is_answered(),
            Self::Http2(session) => session.response_written().is_some(),
        }
    }

    /// Whether the head of an answer was written whose body has no length, and the request was read: then the rest of the answer needs no
    /// session.
    pub(crate) fn is_open_ended(&self) -> bool {
        let has_body = matches!(self.req_header().method, Method::GET | Method::POST);
        has_body
            && self.is_body_done()
            && match self {
                Self::Http1(session) => session.is_open_ended(),
                Self::Http2(session) => session.response_written().is_some_and(|head| {
                    !is_bodiless(head.status) && !head.headers.contains_key(CONTENT_LENGTH)
                }),
            }
    }

    /// The connection closes after this answer; a connection of HTTP/2 does not.
    pub(crate) const fn close_afterwards(&mut self) {
        if let Self::Http1(session) = self {
            session.close_afterwards();
        }
    }

    /// How long the client may take no byte of the answer.
    pub(crate) fn write_deadline(&self) -> Option<Duration> {
        match self {
            Self::Http1(session) => session.write_deadline,
            Self::Http2(session) => session.get_write_timeout(),
        }
    }

    pub(crate) fn set_write_deadline(&mut self, deadline: Duration) {
        match self {
            Self::Http1(session) => session.write_deadline = Some(deadline),
            Self::Http2(session) => session.set_write_timeout(Some(deadline)),
        }
    }

    /// Waits until the client disconnects, or sends what may not follow its request.
    pub(crate) fn gone(&mut self) -> impl Future<Output = ()> {
        poll_fn(|cx| match self {
            Self::Http1(session) => session.poll_gone(cx),
            Self::Http2(session) => Pin::new(&mut session.idle()).poll(cx).map(drop),
        })
    }

    /// Closes the connection, or resets the stream.
    pub(crate) async fn shutdown(&mut self) {
        match self {
            Self::Http1(session) => session.shutdown().await,
            Self::Http2(session) => session.shutdown(),
        }
    }
}
