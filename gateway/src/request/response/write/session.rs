//! Writes by a client's session, each with a deadline.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use pin_project_lite::pin_project;
use pingora::http::ResponseHeader;

use crate::{
    client_session::{ClientSession, is_bodiless},
    request::exchange::Broken,
    time_limit::{Late, Limited, limited},
};

/// Writes a response's head, framed for the client's HTTP version.
pub(crate) async fn write_head(
    session: &mut ClientSession,
    mut head: Box<ResponseHeader>,
) -> Result<(), Broken> {
    let is_framed = is_bodiless(head.status) || head.headers.contains_key(CONTENT_LENGTH);
    if !is_framed && session.req_header().version == Version::HTTP_11 {
        head.insert_header(TRANSFER_ENCODING, "chunked")
            .map_err(|_| Broken)?;
    }
    let deadline = session.write_deadline();
    within(deadline, session.write_head(head)).await
}

/// Writes the whole body, after its head.
pub(crate) async fn write_whole(session: &mut ClientSession, body: Bytes) -> Result<(), Broken> {
    let deadline = session.write_deadline();
    within(deadline, session.write_body(body, true)).await
}

/// A write with a deadline: the gateway does not wait for a client that reads nothing.
pub(crate) fn within<F: Future>(deadline: Option<Duration>, write: F) -> Within<F> {
    Within {
        write: limited(deadline, write),
    }
}

pin_project! {
    /// A write with a deadline; see [`within`]. A type of its own: an `async fn` would store the write twice.
    pub(crate) struct Within<F> {
        #[pin]
        write: Limited<F>,
    }
}

impl<T, E, F: Future<Output = Result<T, E>>> Future for Within<F> {
    type Output = Result<T, Broken>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let written = ready!(self.project().write.poll(cx));
        Poll::Ready(match written {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(_)) | Err(Late) => Err(Broken),
        })
    }
}
