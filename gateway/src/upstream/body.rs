//! The body of an upstream's answer: that of HTTP/1.1 reads from its connection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use mcp_gateway_core::http::answer::framing::Framing;

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
            Self::Http1(body) => ready!(body.poll_data(cx)).map(|data| data.map(Frame::data)),
            Self::Http2(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(|_| BrokenOff))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.framing.is_complete(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => {
                let left = body.framing.left();
                left.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// The body of an answer over HTTP/1.1. When it is read to its end, its connection returns to the pool; when it is dropped
/// before, the connection closes.
pub(crate) struct LinkBody {
    framing: Framing,
    /// None once the connection is back in the pool, or has broken off.
    link: Option<Link>,
    pool: Arc<Pool>,
}

impl LinkBody {
    /// The body of the answer that comes over `link`, which returns to `pool`.
    pub(super) const fn new(framing: Framing, link: Link, pool: Arc<Pool>) -> Self {
        Self {
            framing,
            link: Some(link),
            pool,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        let Some(link) = &mut self.link else {
            return Poll::Ready(None);
        };
        let data = ready!(link.poll_body(&mut self.framing, cx));
        ACTIVITY.note();
        match data {
            Some(Err(_)) => self.link = None,
            None => self.return_link(),
            Some(Ok(_)) => {}
        }
        Poll::Ready(data)
    }

    fn return_link(&mut self) {
        if let Some(link) = self.link.take() {
            self.pool.put(link);
        }
    }
}

impl Drop for LinkBody {
    fn drop(&mut self) {
        if self.framing.is_complete() {
            self.return_link();
        }
    }
}
