//! The body of an upstream's answer, which polls its connection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{link::Link, pool::Pool};
use crate::limits::overload::activity::ACTIVITY;

/// The body of an upstream's answer. When it is read to its end, its connection returns to the pool; when it is dropped
/// before, the connection closes.
pub(crate) struct UpstreamBody {
    body: Incoming,
    /// None once the connection is back in the pool.
    link: Option<Link>,
    pool: Arc<Pool>,
}

impl Body for UpstreamBody {
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
                    link.drive(cx);
                }
                Pin::new(&mut this.body).poll_frame(cx)
            }
            ready => ready,
        };
        if frame.is_ready() {
            ACTIVITY.note();
        }
        if matches!(frame, Poll::Ready(None)) {
            this.return_link();
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

impl UpstreamBody {
    /// The body of the answer that came over `link`, which returns to `pool`.
    pub(super) const fn new(body: Incoming, link: Link, pool: Arc<Pool>) -> Self {
        Self {
            body,
            link: Some(link),
            pool,
        }
    }

    fn return_link(&mut self) {
        if let Some(link) = self.link.take() {
            self.pool.put(link);
        }
    }
}

impl Drop for UpstreamBody {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.return_link();
        }
    }
}
