//! The body of an upstream's answer: that of HTTP/1.1 polls its connection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{error::BrokenOff, http2::StreamBody, link::Link, pool::Pool};
use crate::limits::overload::activity::ACTIVITY;

/// The body of an upstream's answer.
pub(crate) enum UpstreamBody {
    Http1(LinkBody),
    Http2(StreamBody),
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let frame = match &mut *self {
            Self::Http1(body) => {
                ready!(body.poll_frame(cx)).map(|frame| frame.map_err(|_| BrokenOff))
            }
            Self::Http2(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(|_| BrokenOff))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// The body of an answer over HTTP/1.1. When it is read to its end, its connection returns to the pool; when it is dropped
/// before, the connection closes.
pub(crate) struct LinkBody {
    body: Incoming,
    /// None once the connection is back in the pool.
    link: Option<Link>,
    pool: Arc<Pool>,
}

impl LinkBody {
    /// The body of the answer that came over `link`, which returns to `pool`.
    pub(super) const fn new(body: Incoming, link: Link, pool: Arc<Pool>) -> Self {
        Self {
            body,
            link: Some(link),
            pool,
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => {
                if let Some(link) = &mut self.link {
                    link.drive(cx);
                }
                Pin::new(&mut self.body).poll_frame(cx)
            }
            ready => ready,
        };
        if frame.is_ready() {
            ACTIVITY.note();
        }
        if matches!(frame, Poll::Ready(None)) {
            self.return_link();
        }
        frame
    }

    fn return_link(&mut self) {
        if let Some(link) = self.link.take() {
            self.pool.put(link);
        }
    }
}

impl Drop for LinkBody {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.return_link();
        }
    }
}
