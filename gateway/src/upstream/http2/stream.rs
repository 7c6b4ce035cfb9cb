//! One request on one stream, and the body of its answer.
//!
//! A request body is written as far as the server's windows allow, by the request itself. Bytes of an answer return to the
//! windows when the client's side takes them. Dropping either in the middle resets the stream (`CANCEL`).

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response, header::CONTENT_LENGTH};
use hyper::body::{Body, Frame, SizeHint};

use super::usage::Slot;

/// A stream that a request may use.
pub(super) struct Reserved {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) slot: Slot,
    /// The connections that are open now: those numbered below.
    pub(super) before: u64,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection closed, and the server has not processed the request (RFC 9113 §8.7).
    Unprocessed(String),
    /// The server refused the stream and has not processed the request (RFC 9113 §8.7).
    Refused(String),
    /// A connection that had served others closed. The server may have processed it.
    Closed(String),
    /// The server may have processed it.
    Broken(String),
}

impl Reserved {
    /// Sends a request, and returns the answer after its head.
    pub(super) async fn exchange(
        self,
        head: Request<()>,
        body: Bytes,
    ) -> Result<Response<StreamBody>, Failure> {
        let Self {
            mut sender,
            mut slot,
            ..
        } = self;
        let sent = sender.send_request(head, body.is_empty());
        let (mut answered, stream) = sent.map_err(|error| unsent(&error))?;
        drop(sender);
        let mut upload = Upload::new(stream, body);
        let answer = poll_fn(|cx| {
            Upload::poll(&mut upload, cx);
            Pin::new(&mut answered).poll(cx)
        });
        let response = answer.await.map_err(|error| failure(&error, &slot))?;
        slot.answered();
        let (head, recv) = response.into_parts();
        let left = match recv.is_end_stream() {
            true => Some(0),
            false => content_length(&head.headers),
        };
        let body = StreamBody {
            recv,
            upload,
            left,
            slot,
        };
        Ok(Response::from_parts(head, body))
    }
}

/// The connection had closed already, or the request cannot be written.
fn unsent(error: &h2::Error) -> Failure {
    match error.is_io() || error.is_go_away() {
        true => Failure::Unprocessed(error.to_string()),
        false => Failure::Broken(error.to_string()),
    }
}

fn failure(error: &h2::Error, slot: &Slot) -> Failure {
    let why = || match slot.fault() {
        Some(fault) if error.is_io() => fault.to_owned(),
        _ => error.to_string(),
    };
    let is_remote = error.is_remote();
    match error.reason() {
        Some(Reason::REFUSED_STREAM) if is_remote && error.is_reset() => Failure::Refused(why()),
        // Only streams above the last one that the server processes get its GOAWAY as their error.
        _ if is_remote && error.is_go_away() => Failure::Unprocessed(why()),
        _ if error.is_io() && slot.is_kept() => Failure::Closed(why()),
        _ => Failure::Broken(why()),
    }
}

/// `h2` has checked that it is one number, and checks the body against it.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A request body that is being written.
struct Upload {
    stream: SendStream<Bytes>,
    rest: Bytes,
}

impl Upload {
    /// None without a body.
    fn new(stream: SendStream<Bytes>, body: Bytes) -> Option<Self> {
        (!body.is_empty()).then_some(Self { stream, rest: body })
    }

    /// Writes what the windows allow; none once all is written, or the server takes no more.
    fn poll(upload: &mut Option<Self>, cx: &mut Context<'_>) {
        if let Some(running) = upload
            && running.poll_rest(cx).is_ready()
        {
            *upload = None;
        }
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.rest.is_empty() {
            self.stream.reserve_capacity(self.rest.len());
            if self.stream.capacity() == 0 {
                let capacity = ready!(self.stream.poll_capacity(cx));
                if !matches!(capacity, Some(Ok(_))) {
                    return Poll::Ready(());
                }
            }
            let allowed = self.stream.capacity().min(self.rest.len());
            let part = self.rest.split_to(allowed);
            if !part.is_empty() && self.stream.send_data(part, self.rest.is_empty()).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }
}

/// The body of an answer.
pub(crate) struct StreamBody {
    recv: RecvStream,
    upload: Option<Upload>,
    /// The bytes that are still to come, if the server has announced them.
    left: Option<u64>,
    /// The last field: the stream is reset before another request may take its place.
    slot: Slot,
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if !self.recv.is_end_stream() {
            self.slot.cancelled();
        }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = h2::Error;

    /// The next bytes; no trailers. An answer that the server has not ended, or that is shorter or longer than announced, ends
    /// with an error.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        Upload::poll(&mut this.upload, cx);
        let data = match ready!(this.recv.poll_data(cx)) {
            Some(Ok(data)) => data,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        this.left = this.left.map(|left| left.saturating_sub(data.len() as u64));
        let released = this.recv.flow_control().release_capacity(data.len());
        Poll::Ready(Some(released.map(|()| Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.recv.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
