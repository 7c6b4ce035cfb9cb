//! The client's side of a relayed answer: Pingora's session, or the bare connection of an event stream.
//!
//! An event stream may last for hours, and its session holds the head of the request, that of the answer and their buffers. So the
//! session is left once the head of the answer is written. What follows is written without it: over HTTP/1.1 as chunks (RFC 9112
//! §7.1), over HTTP/2 as DATA frames of the stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::{Method, Version, header::CONTENT_LENGTH};
use pingora::{
    apps::HttpPersistentSettings,
    protocols::{
        Shutdown, Stream,
        http::{ServerSession, v2},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::sleep,
};

use super::session::{is_bodiless, within};
use crate::{request::exchange::Broken, time_limit::limited};

/// The last chunk of a body, without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How long the frames of an incomplete answer have until the stream is reset: a reset would arrive before them.
pub(crate) const RESET_DELAY: Duration = Duration::from_millis(10);

/// Where a relayed answer is written to.
pub(crate) enum ClientSide<'a> {
    Session(&'a mut ServerSession),
    Bare(&'a mut BareStream),
}

impl ClientSide<'_> {
    /// Writes a part of the body; the `last` one ends it.
    pub(crate) async fn write(&mut self, data: Bytes, last: bool) -> Result<(), Broken> {
        match self {
            Self::Session(session) => {
                let deadline = session.get_write_timeout();
                within(deadline, session.write_response_body(data, last)).await
            }
            Self::Bare(stream) => stream.write(data, last).await,
        }
    }

    /// Waits until the client disconnects, or sends what may not follow its request.
    pub(crate) async fn gone(&mut self) {
        match self {
            // Boxed: an event stream has left its session.
            Self::Session(session) => drop(Box::pin(session.read_body_or_idle(true)).await),
            Self::Bare(stream) => poll_fn(|cx| stream.wire.poll_gone(cx)).await,
        }
    }
}

/// A client's connection or HTTP/2 stream while an event stream is written to it, without its session.
pub(crate) struct BareStream {
    wire: BareWire,
    write_deadline: Option<Duration>,
    /// What the next request on an HTTP/1.1 connection begins with; none if there will not be one.
    settings: Option<HttpPersistentSettings>,
    body_bytes: usize,
}

enum BareWire {
    /// Its body is written as chunks; to a client of HTTP/1.0, it ends with the connection.
    Http1 {
        stream: Stream,
        is_chunked: bool,
    },
    Http2(SendStream<Bytes>),
}

impl BareStream {
    /// Whether the session may be left: the head of an answer with a body without a length is written, and the request was read.
    pub(crate) fn may_leave(session: &ServerSession) -> bool {
        let is_read = match session {
            ServerSession::H1(_) => true,
            ServerSession::H2(session) => session.is_body_done(),
            ServerSession::Subrequest(_) | ServerSession::Custom(_) => false,
        };
        let has_body = matches!(session.req_header().method, Method::GET | Method::POST);
        let head = session.response_written();
        let is_open = head.is_some_and(|head| {
            !is_bodiless(head.status) && !head.headers.contains_key(CONTENT_LENGTH)
        });
        is_read && has_body && is_open
    }

    /// Leaves a session that [may be left](Self::may_leave).
    ///
    /// # Errors
    /// The client disconnected.
    pub(crate) async fn leave(session: ServerSession) -> Result<Self, Broken> {
        let write_deadline = session.get_write_timeout();
        let kept = HttpPersistentSettings::for_session(&session);
        let (wire, settings) = match session {
            ServerSession::H1(mut session) => {
                let is_chunked = session.req_header().version == Version::HTTP_11;
                let (stream, settings) = match session.will_keepalive() {
                    false => (session.into_inner(), None),
                    true => {
                        // So that bytes after the request are returned here, and the connection stays open.
                        session.set_pipelining_enabled(true);
                        let left = session.reuse().await.map_err(|_| Broken)?;
                        let (stream, unasked) = left.ok_or(Broken)?.into_parts();
                        // They are not treated as a second request: the connection closes after this answer.
                        (stream, Some(kept).filter(|_| unasked.is_none()))
                    }
                };
                (BareWire::Http1 { stream, is_chunked }, settings)
            }
            ServerSession::H2(mut session) => {
                let stream = session.take_response_body_writer().ok_or(Broken)?;
                (BareWire::Http2(stream), None)
            }
            ServerSession::Subrequest(_) | ServerSession::Custom(_) => return Err(Broken),
        };
        Ok(Self {
            wire,
            write_deadline,
            settings,
            body_bytes: 0,
        })
    }

    /// Bytes of the body that were written, without those around them.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Ends the stream after its last write. Returns what the next request on the connection begins with, where there may be one.
    /// The client of an answer that is not complete sees that: it got no final chunk, or the stream is reset.
    pub(crate) async fn end(self, is_complete: bool) -> Option<(Stream, HttpPersistentSettings)> {
        match (self.wire, self.settings) {
            (BareWire::Http1 { stream, .. }, Some(settings)) if is_complete => {
                return Some((stream, settings));
            }
            (BareWire::Http1 { mut stream, .. }, _) => Shutdown::shutdown(&mut *stream).await,
            (BareWire::Http2(mut stream), _) => {
                if !is_complete {
                    sleep(RESET_DELAY).await;
                    stream.send_reset(Reason::INTERNAL_ERROR);
                }
            }
        }
        None
    }

    async fn write(&mut self, data: Bytes, last: bool) -> Result<(), Broken> {
        let length = data.len();
        let deadline = self.write_deadline;
        match &mut self.wire {
            BareWire::Http1 { stream, is_chunked } => {
                let write = write_http1(stream, *is_chunked, &data, last);
                let written = limited(deadline, write).await.map_err(|_| Broken)?;
                written.map_err(|_| Broken)?;
            }
            BareWire::Http2(stream) => {
                within(deadline, v2::write_body(stream, data, last, deadline)).await?;
            }
        }
        self.body_bytes += length;
        Ok(())
    }
}

impl BareWire {
    /// Ready once the client disconnects, resets the stream, or sends what may not follow its request.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1 { stream, .. } => {
                let mut byte = [0];
                let _ = ready!(Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut byte)));
            }
            Self::Http2(stream) => drop(ready!(stream.poll_reset(cx))),
        }
        Poll::Ready(())
    }
}

async fn write_http1(
    stream: &mut Stream,
    is_chunked: bool,
    data: &[u8],
    last: bool,
) -> io::Result<()> {
    if !data.is_empty() && is_chunked {
        let size = format!("{:X}\r\n", data.len());
        stream.write_all(size.as_bytes()).await?;
    }
    stream.write_all(data).await?;
    if !data.is_empty() && is_chunked {
        stream.write_all(b"\r\n").await?;
    }
    if last && is_chunked {
        stream.write_all(LAST_CHUNK).await?;
    }
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    use super::super::write_head;
    use super::*;

    /// A session with this request, and its client.
    async fn session(request: &str) -> (ServerSession, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let stream = pingora::protocols::l4::stream::Stream::from(accepted);
        let mut session = ServerSession::new_http1(Box::new(stream));
        assert!(session.read_request().await.unwrap());
        (session, client)
    }

    /// A session that was left after the head of an event stream.
    async fn left(request: &str) -> (BareStream, TcpStream) {
        let (mut session, client) = session(request).await;
        let mut head = pingora::http::ResponseHeader::build(200, None).unwrap();
        if session.req_header().version == Version::HTTP_11 {
            head.insert_header("Transfer-Encoding", "chunked").unwrap();
        }
        session.write_response_header(Box::new(head)).await.unwrap();
        assert!(BareStream::may_leave(&session));
        (BareStream::leave(session).await.ok().unwrap(), client)
    }

    /// What the client reads after the head, until the connection closes.
    async fn read(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    async fn write(stream: &mut BareStream, data: &'static str, last: bool) {
        let mut client = ClientSide::Bare(stream);
        client
            .write(Bytes::from_static(data.as_bytes()), last)
            .await
            .ok()
            .unwrap();
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test]
    async fn events_are_chunks_and_the_connection_serves_another_request() {
        let (mut stream, client) = left(GET).await;
        write(&mut stream, "data: 1\n\n", false).await;
        write(&mut stream, "", false).await;
        write(&mut stream, "data: 2, longer\n\n", true).await;
        assert_eq!(stream.body_bytes(), 26);
        let (next, _) = stream.end(true).await.unwrap();
        drop(next);
        assert_eq!(
            read(client).await,
            "9\r\ndata: 1\n\n\r\n11\r\ndata: 2, longer\n\n\r\n0\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn an_incomplete_answer_has_no_last_chunk() {
        let (mut stream, client) = left(GET).await;
        write(&mut stream, "data: 1\n\n", false).await;
        assert!(stream.end(false).await.is_none());
        assert_eq!(read(client).await, "9\r\ndata: 1\n\n\r\n");
    }

    #[tokio::test]
    async fn to_an_old_client_the_body_ends_with_the_connection() {
        let (mut stream, client) = left("GET / HTTP/1.0\r\n\r\n").await;
        write(&mut stream, "data: 1\n\n", true).await;
        assert!(stream.end(true).await.is_none());
        assert_eq!(read(client).await, "data: 1\n\n");
    }

    #[tokio::test]
    async fn bytes_after_the_request_are_no_second_one() {
        for unasked in ["GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "x"] {
            let (mut stream, client) = left(&format!("{GET}{unasked}")).await;
            write(&mut stream, "data: 1\n\n", true).await;
            assert!(stream.end(true).await.is_none(), "{unasked}");
            drop(client);
        }
    }

    #[tokio::test]
    async fn a_client_that_disconnects_or_sends_something_is_noticed() {
        for goes_on in [true, false] {
            let (mut stream, mut client) = left(GET).await;
            let mut side = ClientSide::Bare(&mut stream);
            let waits = timeout(Duration::from_millis(50), side.gone()).await;
            assert!(waits.is_err());
            match goes_on {
                true => client.write_all(b"x").await.unwrap(),
                false => AsyncWriteExt::shutdown(&mut client).await.unwrap(),
            }
            timeout(Duration::from_secs(10), side.gone()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_session_stays_for_an_answer_with_a_length() {
        let (mut session, _client) = session(GET).await;
        assert!(!BareStream::may_leave(&session), "no head is written");
        let mut head = pingora::http::ResponseHeader::build(200, None).unwrap();
        head.insert_header("Content-Length", "4").unwrap();
        session.write_response_header(Box::new(head)).await.unwrap();
        assert!(!BareStream::may_leave(&session));
    }

    #[tokio::test]
    async fn a_session_stays_for_an_answer_without_a_body() {
        for status in [204, 304] {
            let (mut session, client) = session(GET).await;
            let mut head = pingora::http::ResponseHeader::build(status, None).unwrap();
            head.insert_header("Content-Type", "text/event-stream")
                .unwrap();
            write_head(&mut session, Box::new(head)).await.ok().unwrap();
            assert!(!BareStream::may_leave(&session), "{status}");
            let mut side = ClientSide::Session(&mut session);
            side.write(Bytes::new(), true).await.ok().unwrap();
            drop(session);
            assert_eq!(read(client).await, "", "{status}");
        }
    }
}
