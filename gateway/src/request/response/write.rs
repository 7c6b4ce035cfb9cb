//! Writes to the client, each with a deadline.

use std::time::Duration;

use bytes::Bytes;
use http::{
    StatusCode, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use pingora::{http::ResponseHeader, protocols::http::ServerSession};

use crate::{request::exchange::Broken, time_limit::limited};

/// Writes a response's head, framed for the client's HTTP version.
pub(crate) async fn write_head(
    session: &mut ServerSession,
    mut head: Box<ResponseHeader>,
) -> Result<(), Broken> {
    let is_bodiless = matches!(
        head.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    let is_framed = is_bodiless || head.headers.contains_key(CONTENT_LENGTH);
    if !is_framed && session.req_header().version == Version::HTTP_11 {
        head.insert_header(TRANSFER_ENCODING, "chunked")
            .map_err(|_| Broken)?;
    }
    let deadline = session.get_write_timeout();
    within(deadline, session.write_response_header(head)).await
}

/// Writes the whole body, after its head.
pub(crate) async fn write_whole(session: &mut ServerSession, body: Bytes) -> Result<(), Broken> {
    let deadline = session.get_write_timeout();
    within(deadline, session.write_response_body(body, true)).await
}

/// A write with a deadline: the gateway does not wait for a client that reads nothing.
pub(crate) async fn within<T>(
    deadline: Option<Duration>,
    write: impl Future<Output = pingora::Result<T>>,
) -> Result<T, Broken> {
    let written = match deadline {
        Some(deadline) => limited(deadline, write).await.map_err(|_| Broken)?,
        None => write.await,
    };
    written.map_err(|_| Broken)
}
