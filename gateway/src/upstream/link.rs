//! A connection to an upstream while a request uses it.
//!
//! hyper's connection is a future that somebody must poll. Usually that is a task of its own, and every message and
//! every frame wakes one task from another. Here the request that uses a connection polls it: nothing is handed over,
//! and an upstream's events are written to the client in the same turn in which they were read. A request that is
//! dropped takes its connection with it, so the upstream learns at once that nobody listens any more.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{Connection, SendRequest},
};

use super::{SendError, connect::Wire, pool::Pool};
use crate::error_source::innermost;

type Sent = Request<Full<Bytes>>;

/// A connection, and the pool it comes home to.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// Nothing once the connection has ended.
    connection: Option<Box<Connection<Wire, Full<Bytes>>>>,
    home: Arc<Pool>,
}

impl Link {
    pub(super) fn new(
        sender: SendRequest<Full<Bytes>>,
        connection: Connection<Wire, Full<Bytes>>,
        home: Arc<Pool>,
    ) -> Self {
        Self {
            sender,
            connection: Some(Box::new(connection)),
            home,
        }
    }

    /// Sends `request` and waits for the head of its answer.
    ///
    /// # Errors
    /// The connection broke off; with the request, if none of it was written.
    pub(super) async fn exchange(
        mut self,
        request: Sent,
    ) -> Result<Response<Answer>, (SendError, Option<Sent>)> {
        let mut answered = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| match answered.as_mut().poll(cx) {
            Poll::Pending => {
                drive(&mut self.connection, cx);
                answered.as_mut().poll(cx)
            }
            ready => ready,
        });
        match answered.await {
            Ok(response) => Ok(response.map(|body| Answer {
                body,
                link: Some(self),
            })),
            Err(mut error) => {
                let unsent = error.take_message();
                Err((SendError::Broken(innermost(error.error())), unsent))
            }
        }
    }

    /// Whether another request may be sent: the last answer is read to its end, and the upstream keeps the connection.
    pub(super) fn is_ready(&mut self) -> bool {
        drive(
            &mut self.connection,
            &mut Context::from_waker(Waker::noop()),
        );
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// Lets the connection read and write what it can.
fn drive(connection: &mut Option<Box<Connection<Wire, Full<Bytes>>>>, cx: &mut Context<'_>) {
    if let Some(running) = connection
        && Pin::new(running).poll(cx).is_ready()
    {
        // How it ended, the request or the body that waits for it is told.
        *connection = None;
    }
}

/// The body of an upstream's answer. Read to its end, its connection goes home; dropped before, the connection closes.
pub(crate) struct Answer {
    body: Incoming,
    link: Option<Link>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Pending => {
                if let Some(link) = &mut this.link {
                    drive(&mut link.connection, cx);
                }
                Pin::new(&mut this.body).poll_frame(cx)
            }
            ready => ready,
        };
        if matches!(frame, Poll::Ready(None)) {
            this.go_home();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Answer {
    fn go_home(&mut self) {
        if let Some(link) = self.link.take() {
            let home = link.home.clone();
            home.put(link);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.go_home();
        }
    }
}
