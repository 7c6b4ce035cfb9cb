//! A connection to an upstream over HTTP/1.1, while a request uses it.
//!
//! The request that uses a connection reads and writes it: nothing passes between tasks, and an upstream's events are written to
//! the client in the same turn in which they were read. A dropped request drops its connection, so the upstream notices the
//! disconnect at once. A connection that waits holds no buffer.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{Method, Response};
use mcp_gateway_core::http::answer::{
    framing::Framing,
    head::{self, AnswerHead},
};

use super::{
    error::{BrokenOff, SendError},
    sending::{Sending, SentRequest},
    tls::words::{self, OwnCertificate},
    wire::Wire,
};

/// Why a request got no answer.
pub(super) enum Unanswered {
    /// None of it was sent.
    Unsent(Box<SentRequest>),
    /// The upstream closed the connection; it may have read the request.
    Closed(String),
    /// Its answer is not HTTP, or the connection failed otherwise.
    Broken(String),
}

impl Unanswered {
    /// The connection broke off before the head of an answer began.
    fn of(error: &io::Error, own: OwnCertificate) -> Self {
        let closes = matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        );
        match closes {
            true => Self::Closed(words::cause(error, own)),
            false => Self::Broken(words::cause(error, own)),
        }
    }
}

impl From<Unanswered> for SendError {
    fn from(unanswered: Unanswered) -> Self {
        Self::Broken(match unanswered {
            Unanswered::Unsent(_) => "the connection closed before the request was sent".to_owned(),
            Unanswered::Closed(why) | Unanswered::Broken(why) => why,
        })
    }
}

/// A connection that one request at a time uses.
pub(super) struct Link {
    wire: Wire,
    /// Bytes that were read and belong to what comes next.
    unread: Bytes,
    /// The request, until it is written.
    sending: Option<Sending>,
    /// Whether the last answer allows another request.
    keeps_alive: bool,
    /// A server may refuse it only after the handshake.
    own: OwnCertificate,
}

impl Link {
    /// A new connection.
    pub(super) const fn new(wire: Wire, own: OwnCertificate) -> Self {
        Self {
            wire,
            unread: Bytes::new(),
            sending: None,
            keeps_alive: true,
            own,
        }
    }

    /// Sends `request` and waits for the head of its answer, which says how its body ends. The body is read by
    /// [`Link::poll_body`].
    ///
    /// # Errors
    /// The connection broke off.
    pub(super) async fn exchange(
        mut self,
        request: SentRequest,
    ) -> Result<(Response<Framing>, Self), Unanswered> {
        if !poll_fn(|cx| Poll::Ready(self.is_silent(cx))).await {
            return Err(Unanswered::Unsent(Box::new(request)));
        }
        self.sending = Some(Sending::of(&request));
        let method = request.method().clone();
        drop(request);
        let head = poll_fn(|cx| self.poll_head(&method, cx)).await?;
        self.keeps_alive = head.keeps_alive;
        let mut response = Response::new(head.framing);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok((response, self))
    }

    /// The next data of a body; none once it is complete.
    pub(super) fn poll_body(
        &mut self,
        framing: &mut Framing,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        // The upstream may answer before it has read the request. That it takes no more of it is no fault of the answer.
        let _ = self.poll_send(cx);
        loop {
            match framing.take(&mut self.unread) {
                Ok(None) if framing.is_complete() => return Poll::Ready(None),
                Ok(None) => {}
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Err(_) => return Poll::Ready(Some(Err(BrokenOff))),
            }
            // Even an empty part of what was read would keep all of it while the connection waits.
            self.unread = Bytes::new();
            match ready!(self.wire.poll_bytes(cx)) {
                Ok(more) if !more.is_empty() => self.unread = more,
                closed => {
                    self.keeps_alive = false;
                    let is_complete = closed.is_ok() && framing.close();
                    return Poll::Ready((!is_complete).then_some(Err(BrokenOff)));
                }
            }
        }
    }

    /// Whether another request may be sent, unless the upstream closes the connection: the last one was written, its answer was read to
    /// its end and allows it.
    pub(super) fn is_done(&self) -> bool {
        self.keeps_alive && self.sending.is_none() && self.unread.is_empty()
    }

    /// Whether the upstream has neither closed the connection nor sent what nobody asked for.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        self.unread.is_empty() && self.wire.poll_bytes(cx).is_pending()
    }

    /// Writes what the connection takes of the request.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(sending) = &mut self.sending else {
            return Poll::Ready(Ok(()));
        };
        ready!(sending.poll(&mut self.wire, cx))?;
        self.sending = None;
        Poll::Ready(Ok(()))
    }

    fn poll_head(
        &mut self,
        method: &Method,
        cx: &mut Context<'_>,
    ) -> Poll<Result<AnswerHead, Unanswered>> {
        // An upstream that takes no more of the request may have answered: what it sent is read to its end first.
        let sent = self.poll_send(cx);
        while let Poll::Ready(read) = self.wire.poll_bytes(cx) {
            match read {
                Ok(more) if !more.is_empty() => self.append(more),
                // What was not taken of the request says more than the end after it.
                Ok(_) => {
                    return Poll::Ready(Err(match &sent {
                        Poll::Ready(Err(error)) => self.broken(error),
                        _ => self.closed(),
                    }));
                }
                Err(error) => return Poll::Ready(Err(self.broken(&error))),
            }
            match head::take(&mut self.unread, method) {
                Ok(None) => {}
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Err(fault) => return Poll::Ready(Err(Unanswered::Broken(fault.to_string()))),
            }
        }
        Poll::Pending
    }

    fn append(&mut self, more: Bytes) {
        if self.unread.is_empty() {
            self.unread = more;
            return;
        }
        let mut all = BytesMut::with_capacity(self.unread.len() + more.len());
        all.extend_from_slice(&self.unread);
        all.extend_from_slice(&more);
        self.unread = all.freeze();
    }

    /// The upstream closed the connection instead of an answer, or within the head of one: then it was at work on the request, and
    /// did not close the connection because it was idle.
    fn closed(&self) -> Unanswered {
        match self.unread.is_empty() {
            true => Unanswered::Closed("the connection closed before the answer".to_owned()),
            false => {
                Unanswered::Broken("the connection closed within the head of the answer".to_owned())
            }
        }
    }

    fn broken(&self, error: &io::Error) -> Unanswered {
        match self.unread.is_empty() {
            true => Unanswered::of(error, self.own),
            false => Unanswered::Broken(words::cause(error, self.own)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use http::{Request, StatusCode};
    use http_body_util::{BodyExt, Full};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
        time::{sleep, timeout},
    };

    use super::*;

    fn pair() -> (Link, UnixStream) {
        let (own, server) = UnixStream::pair().unwrap();
        (
            Link::new(
                Wire::Unix(hyper_util::rt::TokioIo::new(own)),
                OwnCertificate::Missing,
            ),
            server,
        )
    }

    /// Whether another request could be sent now.
    fn is_ready(link: &mut Link) -> bool {
        link.is_done() && link.is_silent(&mut Context::from_waker(Waker::noop()))
    }

    fn request(body: Vec<u8>) -> SentRequest {
        Request::post("/mcp").body(Full::new(body.into())).unwrap()
    }

    /// What becomes of a request to a server that reads it, answers so and closes the connection.
    async fn answered(answer: &str) -> Result<(Response<Framing>, Link), Unanswered> {
        let (link, mut server) = pair();
        let serve = async {
            assert!(server.read(&mut [0; 1024]).await.unwrap() > 0);
            server.write_all(answer.as_bytes()).await.unwrap();
            drop(server);
        };
        tokio::join!(link.exchange(request(b"{}".to_vec())), serve).0
    }

    async fn body(link: &mut Link, mut framing: Framing) -> Result<Vec<u8>, BrokenOff> {
        let mut whole = Vec::new();
        while let Some(data) = poll_fn(|cx| link.poll_body(&mut framing, cx)).await {
            whole.extend_from_slice(&data?);
        }
        assert!(framing.is_complete());
        Ok(whole)
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Ok("{}")),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", Err(())),
            ("HTTP/1.1 200 OK\r\n\r\n{}", Ok("{}")),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
                Ok("{}"),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
                Err(()),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
                Err(()),
            ),
        ] {
            let Ok((response, mut link)) = answered(answer).await else {
                panic!("{answer}");
            };
            assert_eq!(response.status(), StatusCode::OK);
            let read = body(&mut link, response.into_body()).await.map_err(drop);
            assert_eq!(
                read,
                expected.map(|text| text.as_bytes().to_vec()),
                "{answer}"
            );
            assert!(!is_ready(&mut link), "the server has closed it");
        }
    }

    #[tokio::test]
    async fn an_upstream_that_closes_differs_from_one_that_was_at_work() {
        assert!(matches!(answered("").await, Err(Unanswered::Closed(_))));
        for answer in ["HTTP/1.1 20", "SSH-2.0-OpenSSH\r\n\r\n"] {
            assert!(
                matches!(answered(answer).await, Err(Unanswered::Broken(_))),
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_over_a_connection_that_is_closed_or_says_something_unasked() {
        for unasked in ["", "HTTP/1.1 408 Timeout\r\n\r\n"] {
            let (mut link, mut server) = pair();
            assert!(is_ready(&mut link));
            server.write_all(unasked.as_bytes()).await.unwrap();
            server.shutdown().await.unwrap();
            sleep(Duration::from_millis(20)).await;
            let sent = link.exchange(request(b"{}".to_vec())).await;
            let Err(Unanswered::Unsent(request)) = sent else {
                panic!("{unasked:?}");
            };
            assert_eq!(
                request.into_body().collect().await.unwrap().to_bytes(),
                "{}"
            );
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn an_answer_may_come_before_the_request_is_read() {
        let (link, mut server) = pair();
        let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
        let serve = async {
            server.read_u8().await.unwrap();
            server.write_all(answer).await.unwrap();
        };
        let large = request(vec![b'x'; 8 << 20]);
        let exchanged = timeout(Duration::from_secs(10), link.exchange(large));
        let (exchanged, ()) = tokio::join!(exchanged, serve);
        let Ok(Ok((response, mut link))) = exchanged else {
            panic!("no answer");
        };
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(body(&mut link, response.into_body()).await.unwrap(), b"no");
        assert!(!is_ready(&mut link), "the rest of the request is unsent");
    }

    #[tokio::test]
    async fn an_answer_counts_although_the_rest_of_the_request_is_not_taken() {
        let answer = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno";
        for _ in 0..20 {
            let (link, mut server) = pair();
            let serve = async {
                assert!(server.read(&mut vec![0; 1 << 20]).await.unwrap() > 0);
                // Now the gateway can write again, and finds out that it cannot before it finds out that there is an answer.
                tokio::task::yield_now().await;
                server.write_all(answer).await.unwrap();
                drop(server);
            };
            let large = request(vec![b'x'; 8 << 20]);
            let exchanged = timeout(Duration::from_secs(10), link.exchange(large));
            let ((), exchanged) = tokio::join!(serve, exchanged);
            let Ok(Ok((response, mut link))) = exchanged else {
                panic!("no answer");
            };
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(body(&mut link, response.into_body()).await.unwrap(), b"no");
        }
    }

    #[tokio::test]
    async fn a_head_may_come_byte_by_byte_after_an_interim_one() {
        let (link, mut server) = pair();
        let serve = async {
            server.read_u8().await.unwrap();
            for byte in
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
            {
                server.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (answered, ()) = tokio::join!(link.exchange(request(b"{}".to_vec())), serve);
        let Ok((response, mut link)) = answered else {
            panic!("no answer");
        };
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert!(is_ready(&mut link));
    }

    #[tokio::test]
    async fn a_connection_that_waits_holds_no_buffer() {
        let (link, mut server) = pair();
        let serve = async {
            server.read_u8().await.unwrap();
            server
                .write_all(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n")
                .await
                .unwrap();
        };
        let (answered, ()) = tokio::join!(link.exchange(request(b"{}".to_vec())), serve);
        let Ok((response, mut link)) = answered else {
            panic!("no answer");
        };
        let mut framing = response.into_body();
        let first = poll_fn(|cx| link.poll_body(&mut framing, cx)).await;
        assert_eq!(first.unwrap().unwrap(), "data: 1\n\n");
        let waits = poll_fn(|cx| Poll::Ready(link.poll_body(&mut framing, cx).is_pending())).await;
        assert!(waits && link.unread.is_empty() && link.sending.is_none());
    }
}
