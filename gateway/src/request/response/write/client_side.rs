//! The client's side of a relayed answer: its session, or the bare connection of an event stream.
//!
//! An event stream may last for hours, and its session holds the head of the request, that of the answer and their buffers. So the
//! session is left once the head of the answer is written. What follows is written without it: over HTTP/1.1 as chunks (RFC 9112
//! §7.1), over HTTP/2 as DATA frames of the stream.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, SendStream};
use pingora::protocols::{Shutdown, Stream, http::v2};
use tokio::{io::AsyncWriteExt, time::sleep};

use super::session::within;
use crate::{
    client_session::{ClientSession, begin_chunk, http1},
    request::exchange::Broken,
    time_limit::limited,
};

/// How long the frames of an incomplete answer have until the stream is reset: a reset would arrive before them.
pub(crate) const RESET_DELAY: Duration = Duration::from_millis(10);

/// Where a relayed answer is written to.
pub(crate) trait ClientSide {
    /// Writes a part of the body; the `last` one ends it.
    fn write(&mut self, data: Bytes, last: bool)
    -> impl Future<Output = Result<(), Broken>> + Send;

    /// Waits until the client disconnects, or sends what may not follow its request.
    fn gone(&mut self) -> impl Future<Output = ()> + Send;
}

impl ClientSide for ClientSession {
    async fn write(&mut self, data: Bytes, last: bool) -> Result<(), Broken> {
        let deadline = self.write_deadline();
        within(deadline, self.write_body(data, last)).await
    }

    fn gone(&mut self) -> impl Future<Output = ()> + Send {
        self.gone()
    }
}

/// A client's connection or HTTP/2 stream while an event stream is written to it, without its session.
pub(crate) struct BareStream {
    wire: BareWire,
    write_deadline: Option<Duration>,
    /// Whether another request may follow on an HTTP/1.1 connection.
    may_continue: bool,
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
    /// Leaves a session whose answer is [open-ended](ClientSession::is_open_ended).
    ///
    /// # Errors
    /// The client disconnected.
    pub(crate) fn leave(session: ClientSession) -> Result<Self, Broken> {
        let write_deadline = session.write_deadline();
        let (wire, may_continue) = match session {
            ClientSession::Http1(session) => {
                let (stream, is_chunked, may_continue) = session.leave();
                (BareWire::Http1 { stream, is_chunked }, may_continue)
            }
            ClientSession::Http2(mut session) => {
                let stream = session.take_response_body_writer().ok_or(Broken)?;
                (BareWire::Http2(stream), false)
            }
        };
        Ok(Self {
            wire,
            write_deadline,
            may_continue,
            body_bytes: 0,
        })
    }

    /// Bytes of the body that were written, without those around them.
    pub(crate) const fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Ends the stream after its last write. Returns the connection, where another request may follow on it.
    /// The client of an answer that is not complete sees that: it got no final chunk, or the stream is reset.
    pub(crate) async fn end(self, is_complete: bool) -> Option<Stream> {
        match (self.wire, self.may_continue) {
            (BareWire::Http1 { stream, .. }, true) if is_complete => return Some(stream),
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
}

impl ClientSide for BareStream {
    async fn write(&mut self, data: Bytes, last: bool) -> Result<(), Broken> {
        let (length, deadline) = (data.len(), self.write_deadline);
        // What has to wait is boxed: a stream that is silent is not to hold room for it.
        match &mut self.wire {
            BareWire::Http1 { stream, is_chunked } => {
                let rest = match is_chunked {
                    true => begin_chunk(stream, &data, last).await.map_err(|_| Broken)?,
                    false => data.to_vec(),
                };
                if !rest.is_empty() {
                    let write = limited(deadline, stream.write_all(&rest));
                    let written = Box::pin(write).await.map_err(|_| Broken)?;
                    written.map_err(|_| Broken)?;
                }
            }
            BareWire::Http2(stream) => {
                let write = v2::write_body(stream, data, last, deadline);
                Box::pin(within(deadline, write)).await?;
            }
        }
        self.body_bytes += length;
        Ok(())
    }

    fn gone(&mut self) -> impl Future<Output = ()> + Send {
        poll_fn(|cx| self.wire.poll_gone(cx))
    }
}

impl BareWire {
    /// Ready once the client disconnects, resets the stream, or sends what may not follow its request.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1 { stream, .. } => http1::poll_gone(stream, cx),
            Self::Http2(stream) => stream.poll_reset(cx).map(drop),
        }
    }
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
    async fn session(request: &str) -> (ClientSession, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let stream = pingora::protocols::l4::stream::Stream::from(accepted);
        let mut session = ClientSession::http1(Box::new(stream), Bytes::new());
        assert!(session.read_head().await.unwrap());
        (session, client)
    }

    /// A session that was left after the head of an event stream.
    async fn left(request: &str) -> (BareStream, TcpStream) {
        let (mut session, client) = session(request).await;
        let mut head = pingora::http::ResponseHeader::build(200, None).unwrap();
        if session.req_header().version == http::Version::HTTP_11 {
            head.insert_header("Transfer-Encoding", "chunked").unwrap();
        }
        session.write_head(Box::new(head)).await.unwrap();
        assert!(session.is_open_ended());
        (BareStream::leave(session).ok().unwrap(), client)
    }

    /// What the client reads after the head, until the connection closes.
    async fn read(mut client: TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    async fn write(stream: &mut BareStream, data: &'static str, last: bool) {
        stream
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
        let next = stream.end(true).await.unwrap();
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
            let waits = timeout(Duration::from_millis(50), stream.gone()).await;
            assert!(waits.is_err());
            match goes_on {
                true => client.write_all(b"x").await.unwrap(),
                false => AsyncWriteExt::shutdown(&mut client).await.unwrap(),
            }
            timeout(Duration::from_secs(10), stream.gone())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_session_stays_for_an_answer_with_a_length() {
        let (mut session, _client) = session(GET).await;
        assert!(!session.is_open_ended(), "no head is written");
        let mut head = pingora::http::ResponseHeader::build(200, None).unwrap();
        head.insert_header("Content-Length", "4").unwrap();
        session.write_head(Box::new(head)).await.unwrap();
        assert!(!session.is_open_ended());
    }

    #[tokio::test]
    async fn a_session_stays_for_an_answer_without_a_body() {
        for status in [204, 304] {
            let (mut session, client) = session(GET).await;
            let mut head = pingora::http::ResponseHeader::build(status, None).unwrap();
            head.insert_header("Content-Type", "text/event-stream")
                .unwrap();
            write_head(&mut session, Box::new(head)).await.ok().unwrap();
            assert!(!session.is_open_ended(), "{status}");
            session.write(Bytes::new(), true).await.ok().unwrap();
            drop(session);
            assert_eq!(read(client).await, "", "{status}");
        }
    }
}
