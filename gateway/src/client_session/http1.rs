//! A request over HTTP/1.1 and its answer, on a connection.
//!
//! A session is made for each request, of the connection and the bytes that were read of it already. While it waits, it holds no buffer:
//! what is read is copied into memory of its length. The connection goes on to the next request only where it is certain that this
//! one has ended, and nothing follows it.

use std::{
    io,
    mem::{self, MaybeUninit},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{Request, Uri};
use mcp_gateway_core::http::{
    answer::framing::Framing,
    request::head::{self, RequestHead},
};
use pingora::{
    http::{RequestHeader, ResponseHeader},
    protocols::{Shutdown, Stream},
};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::{
    fault::{BodyFault, HeadFault, Unwritten},
    writer::{Writer, head_bytes},
};

/// Bytes that one read takes of a head, at most. What is missing of a longer one is read later.
pub(crate) const HEAD_READ: usize = 4096;

/// Bytes that one read takes of a body, at most: as much as a TLS record has.
const BODY_READ: usize = 16 * 1024;

/// Asks for the body.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request and its answer.
pub(crate) struct Http1 {
    stream: Stream,
    /// Bytes that were read and are not used yet.
    unread: Bytes,
    /// How many of them were looked at, while they are not a whole head.
    looked_at: usize,
    head: RequestHeader,
    target: Bytes,
    body: Framing,
    is_body_empty: bool,
    keeps_alive: bool,
    /// The answer, once its head is written.
    answer: Option<Writer>,
    body_bytes: usize,
    pub(super) write_deadline: Option<Duration>,
}

impl Http1 {
    /// The next request on a connection of which `begun` was read already.
    pub(crate) fn new(stream: Stream, begun: Bytes) -> Self {
        Self {
            stream,
            unread: begun,
            looked_at: 0,
            head: RequestHeader::from(Request::new(()).into_parts().0),
            target: Bytes::new(),
            body: Framing::Length(0),
            is_body_empty: true,
            keeps_alive: false,
            answer: None,
            body_bytes: 0,
            write_deadline: None,
        }
    }

    /// Reads the head. Returns whether there is one: the client may also disconnect.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, HeadFault>> {
        loop {
            let new = self.unread.get(self.looked_at..).unwrap_or_default();
            // A head ends with a line: bytes that come one by one are not to cost a look at all of it each.
            if !new.is_empty() && (self.looked_at == 0 || new.contains(&b'\n')) {
                if let Some(head) = head::take(&mut self.unread)? {
                    return Poll::Ready(self.begin(head).map(|()| true));
                }
                self.looked_at = self.unread.len();
            }
            match ready!(poll_read::<HEAD_READ>(&mut self.stream, cx)) {
                Ok(more) if !more.is_empty() => self.append(&more),
                // Empty lines are no request (RFC 9112 §2.2).
                _ if self.unread.iter().all(|byte| b"\r\n".contains(byte)) => {
                    return Poll::Ready(Ok(false));
                }
                _ => return Poll::Ready(Err(HeadFault::BrokenOff)),
            }
        }
    }

    fn begin(&mut self, head: RequestHead) -> Result<(), HeadFault> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = uri(&head.target).ok_or(HeadFault::Syntax)?;
        parts.method = head.method;
        parts.version = head.version;
        parts.headers = head.headers;
        self.head = RequestHeader::from(parts);
        self.target = head.target;
        self.keeps_alive = head.keeps_alive;
        // Where the end of the body is uncertain, the connection closes after the answer, and no more is read.
        self.body = head.body.unwrap_or(Framing::Length(0));
        self.is_body_empty = self.body.is_complete();
        Ok(())
    }

    fn append(&mut self, more: &[u8]) {
        // The bytes are not shared: memory of a head grows like that of a vector.
        let mut all = BytesMut::from(mem::take(&mut self.unread));
        all.extend_from_slice(more);
        self.unread = all.freeze();
    }

    pub(super) const fn head(&self) -> &RequestHeader {
        &self.head
    }

    pub(super) const fn head_mut(&mut self) -> &mut RequestHeader {
        &mut self.head
    }

    pub(super) const fn target(&self) -> &Bytes {
        &self.target
    }

    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyFault>> {
        loop {
            match self.body.take(&mut self.unread) {
                Ok(None) if self.body.is_complete() => return Poll::Ready(Ok(None)),
                Ok(None) => {}
                Ok(data) => return Poll::Ready(Ok(data)),
                Err(_) => {
                    self.keeps_alive = false;
                    return Poll::Ready(Err(BodyFault::Framing));
                }
            }
            match ready!(poll_read::<BODY_READ>(&mut self.stream, cx)) {
                Ok(more) if !more.is_empty() => self.unread = more,
                _ => {
                    self.keeps_alive = false;
                    return Poll::Ready(Err(BodyFault::Gone));
                }
            }
        }
    }

    /// What is left of the length that the head announced.
    pub(super) const fn announced_length(&self) -> Option<u64> {
        self.body.left()
    }

    pub(super) const fn is_body_done(&self) -> bool {
        self.body.is_complete()
    }

    pub(super) const fn is_body_empty(&self) -> bool {
        self.is_body_empty
    }

    pub(super) async fn write_continue(&mut self) -> Result<(), Unwritten> {
        if self.answer.is_some() {
            return Ok(());
        }
        self.stream.write_all(CONTINUE).await.map_err(|_| Unwritten)
    }

    pub(super) async fn write_head(&mut self, head: &ResponseHeader) -> Result<(), Unwritten> {
        if self.answer.is_some() {
            return Ok(());
        }
        let writer = Writer::of(&self.head, head);
        // Who is answered before its body was read may send the body or the next request: the bytes that follow are neither.
        self.keeps_alive &= writer != Writer::Close && self.body.is_complete();
        self.answer = Some(writer);
        let bytes = head_bytes(head, self.keeps_alive);
        self.stream.write_all(&bytes).await.map_err(|_| Unwritten)
    }

    pub(super) async fn write_body(&mut self, data: Bytes, last: bool) -> Result<(), Unwritten> {
        let answer = self.answer.as_mut().ok_or(Unwritten)?;
        self.body_bytes += answer.write(&mut self.stream, data, last).await?;
        Ok(())
    }

    pub(super) const fn body_bytes_sent(&self) -> usize {
        self.body_bytes
    }

    pub(super) const fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    pub(super) fn is_open_ended(&self) -> bool {
        self.answer.is_some_and(Writer::is_open_ended)
    }

    pub(super) const fn close_afterwards(&mut self) {
        self.keeps_alive = false;
    }

    /// Ready once the client disconnects, or sends what may not follow its request.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(poll_gone(&mut self.stream, cx));
        self.keeps_alive = false;
        Poll::Ready(())
    }

    pub(super) async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut *self.stream).await;
    }

    /// Ends a request. Returns the connection where another one may follow: the answer is complete, the request's body was read before
    /// it, and nothing was sent after that.
    pub(crate) async fn finish(mut self) -> Option<Stream> {
        let is_complete = self.answer.is_some_and(Writer::is_complete);
        if self.keeps_alive && is_complete && self.unread.is_empty() {
            return Some(self.stream);
        }
        self.shutdown().await;
        None
    }

    /// Leaves an answer that is written further without a session: the connection, whether its body is written as chunks, and whether
    /// another request may follow. What was sent after the request is not treated as one.
    pub(crate) fn leave(self) -> (Stream, bool, bool) {
        let is_chunked = self.answer == Some(Writer::Chunked);
        let may_continue = self.keeps_alive && self.unread.is_empty();
        (self.stream, is_chunked, may_continue)
    }
}

/// What a client sends next, `MOST` bytes at most, in memory of just their length: no memory waits for them. Empty once it sends no more.
pub(crate) fn poll_read<const MOST: usize>(
    stream: &mut Stream,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    let mut space = [const { MaybeUninit::uninit() }; MOST];
    let mut read = ReadBuf::uninit(&mut space);
    ready!(Pin::new(stream).poll_read(cx, &mut read))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(read.filled())))
}

/// Ready once a client disconnects, or sends what may not follow its request.
pub(crate) fn poll_gone(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
    let mut byte = [0];
    let read = Pin::new(stream).poll_read(cx, &mut ReadBuf::new(&mut byte));
    read.map(drop)
}

/// The target as it is shown and routed; what is not a path with a query is made one by Pingora's rules.
fn uri(target: &Bytes) -> Option<Uri> {
    let is_origin_form = target.starts_with(b"/") && target.is_ascii();
    if is_origin_form && let Ok(uri) = Uri::from_maybe_shared(target.clone()) {
        return Some(uri);
    }
    let header = RequestHeader::build_no_case("GET", target, Some(0)).ok()?;
    Some(header.uri.clone())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, Version};
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        time::timeout,
    };

    use super::*;
    use crate::client_session::ClientSession;

    const MOMENT: Duration = Duration::from_millis(20);

    /// A session with what its client sent.
    async fn sent(bytes: &[u8]) -> (ClientSession, DuplexStream) {
        let (mut client, server) = duplex(1 << 20);
        client.write_all(bytes).await.unwrap();
        let session = ClientSession::http1(Box::new(server), Bytes::new());
        (session, client)
    }

    async fn read(request: &str) -> (ClientSession, DuplexStream) {
        let (mut session, client) = sent(request.as_bytes()).await;
        assert!(session.read_head().await.unwrap(), "{request}");
        (session, client)
    }

    async fn body(session: &mut ClientSession) -> Result<Vec<u8>, BodyFault> {
        let mut whole = Vec::new();
        while let Some(part) = session.read_body().await? {
            whole.extend_from_slice(&part);
        }
        Ok(whole)
    }

    /// Answers with these fields and this body, and returns the connection if it stays open.
    async fn answer(
        mut session: ClientSession,
        fields: &[(&'static str, &'static str)],
        body: &'static str,
    ) -> Option<Stream> {
        let mut head = ResponseHeader::build_no_case(200, None).unwrap();
        for (name, value) in fields {
            head.append_header(*name, HeaderValue::from_static(value))
                .unwrap();
        }
        session.write_head(Box::new(head)).await.unwrap();
        session.write_body(body.into(), true).await.ok()?;
        match session {
            ClientSession::Http1(session) => session.finish().await,
            ClientSession::Http2(_) => None,
        }
    }

    /// What the client got, without the date.
    async fn got(mut client: DuplexStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        let lines = text.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with("Date: ")).collect()
    }

    const GET: &str = "GET /mcp HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test]
    async fn a_request_is_read_in_any_portions() {
        let text = "POST /a?b#c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n";
        for size in [1, 2, 7, 50, text.len()] {
            let (mut client, server) = duplex(size);
            let sends = tokio::spawn(async move {
                client.write_all(text.as_bytes()).await.unwrap();
                client
            });
            let mut session = ClientSession::http1(Box::new(server), Bytes::new());
            assert!(session.read_head().await.unwrap());
            assert_eq!(session.req_header().method, Method::POST);
            assert_eq!(session.req_header().uri, "/a?b");
            assert_eq!(session.raw_target().unwrap(), "/a?b#c");
            assert!(!session.is_body_empty());
            assert_eq!(body(&mut session).await.unwrap(), b"abc", "{size}");
            assert!(session.is_body_done());
            drop(sends.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_has_no_request() {
        let (mut session, client) = sent(b"").await;
        assert!(timeout(MOMENT, session.read_head()).await.is_err());
        drop(client);
        assert!(!session.read_head().await.unwrap());
        let (mut session, client) = sent(b"GET / HT").await;
        drop(client);
        let broken = session.read_head().await.unwrap_err();
        assert!(matches!(broken, HeadFault::BrokenOff));
        let (mut session, client) = sent(b"\r\n\r\n").await;
        drop(client);
        assert!(!session.read_head().await.unwrap());
        // What cannot become a head is refused at once.
        let (mut session, _client) = sent(b"\x16\x03\x01\x02").await;
        assert!(session.read_head().await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_one_that_is_wrong() {
        let length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab";
        let chunks = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab";
        for (request, expected) in [
            (length.to_owned(), BodyFault::Gone),
            (chunks.to_owned(), BodyFault::Gone),
            (format!("{chunks}x"), BodyFault::Framing),
            (format!("{chunks}\r\n\r\n"), BodyFault::Framing),
        ] {
            let (mut session, client) = read(&request).await;
            drop(client);
            assert_eq!(body(&mut session).await, Err(expected), "{request}");
        }
    }

    #[tokio::test]
    async fn the_connection_serves_another_request_after_a_complete_answer() {
        let (session, client) = read(GET).await;
        let stream = answer(session, &[("content-length", "2")], "ok").await;
        drop(stream.unwrap());
        assert_eq!(
            got(client).await,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
        );
    }

    #[tokio::test]
    async fn an_answer_before_the_body_was_read_ends_the_connection() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n";
        for request in [
            format!("{post}\r\n"),
            format!("{post}\r\nGET "),
            format!("{post}Expect: 100-continue\r\n\r\n"),
        ] {
            let (session, client) = read(&request).await;
            let stream = answer(session, &[("content-length", "0")], "").await;
            assert!(stream.is_none(), "{request}");
            let got = got(client).await;
            assert!(got.contains("Connection: close\r\n"), "{got}");
        }
        let (mut session, _client) = read(&format!("{post}\r\nbody")).await;
        assert_eq!(body(&mut session).await.unwrap(), b"body");
        let stream = answer(session, &[("content-length", "0")], "").await;
        assert!(stream.is_some());
    }

    #[tokio::test]
    async fn what_is_not_certainly_another_request_is_not_read() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\n";
        for request in [
            format!("{GET}{GET}"),
            format!("{GET}\r\n"),
            format!("{post}Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
            format!("{post}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("{post}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{GET}"),
            format!("{post}Connection: close\r\n\r\n"),
        ] {
            let (session, _client) = read(&request).await;
            let stream = answer(session, &[("content-length", "0")], "").await;
            assert!(stream.is_none(), "{request}");
        }
    }

    #[tokio::test]
    async fn an_answer_ends_as_its_head_says() {
        let chunked = ("transfer-encoding", "chunked");
        let (session, client) = read(GET).await;
        drop(answer(session, &[chunked], "hello, world").await.unwrap());
        assert!(
            got(client)
                .await
                .ends_with("\r\n\r\nC\r\nhello, world\r\n0\r\n\r\n")
        );

        // Longer than its length: the rest would be another answer.
        let (session, client) = read(GET).await;
        drop(answer(session, &[("content-length", "2")], "okay").await);
        assert!(got(client).await.ends_with("\r\n\r\nok"));

        // Shorter: the client must see that it is incomplete.
        let (session, _client) = read(GET).await;
        assert!(
            answer(session, &[("content-length", "5")], "okay")
                .await
                .is_none()
        );

        // Without either it ends with the connection.
        let (session, client) = read(GET).await;
        assert!(answer(session, &[], "okay").await.is_none());
        assert!(got(client).await.ends_with("Connection: close\r\n\r\nokay"));
    }

    #[tokio::test]
    async fn an_answer_to_head_and_a_status_without_a_body_have_none() {
        let (session, client) = read(&GET.replace("GET", "HEAD")).await;
        let stream = answer(session, &[("content-length", "4")], "okay").await;
        drop(stream.unwrap());
        let head = got(client).await;
        assert!(
            head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"),
            "{head}"
        );
        for status in [204, 304] {
            let (mut session, client) = read(GET).await;
            let head = ResponseHeader::build_no_case(status, None).unwrap();
            session.write_head(Box::new(head)).await.unwrap();
            session.write_body("okay".into(), true).await.unwrap();
            assert_eq!(session.body_bytes_sent(), 0);
            drop(session);
            assert!(got(client).await.ends_with("\r\n\r\n"), "{status}");
        }
    }

    #[tokio::test]
    async fn a_client_of_http_1_0_gets_no_chunks() {
        for (fields, stays) in [("", false), ("Connection: keep-alive\r\n", true)] {
            let request = format!("GET / HTTP/1.0\r\n{fields}\r\n");
            let (session, _client) = read(&request).await;
            assert_eq!(session.req_header().version, Version::HTTP_10);
            let stream = answer(session, &[("content-length", "0")], "").await;
            assert_eq!(stream.is_some(), stays, "{fields}");
            let (session, client) = read(&request).await;
            let chunked = [("transfer-encoding", "chunked")];
            assert!(answer(session, &chunked, "okay").await.is_none());
            assert!(got(client).await.ends_with("\r\n\r\nokay"));
        }
    }

    #[tokio::test]
    async fn a_client_that_waits_with_its_body_is_asked_for_it_once() {
        let (mut session, mut client) =
            read("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
                .await;
        session.write_continue().await.unwrap();
        let mut asked = [0; 25];
        client.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, *CONTINUE);
        client.write_all(b"a").await.unwrap();
        assert_eq!(body(&mut session).await.unwrap(), b"a");
        drop(
            answer(session, &[("content-length", "0")], "")
                .await
                .unwrap(),
        );
        assert!(got(client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }

    #[tokio::test]
    async fn a_second_head_is_not_written() {
        let (mut session, client) = read(GET).await;
        for status in [200, 500] {
            let head = ResponseHeader::build_no_case(status, None).unwrap();
            session.write_head(Box::new(head)).await.unwrap();
        }
        session.write_continue().await.unwrap();
        drop(session);
        assert_eq!(
            got(client).await,
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn targets_that_are_no_path_are_read_too() {
        for (target, path) in [
            ("*", "*"),
            ("http://a/mcp?b", "/mcp"),
            ("/m\u{f6}cp", "/m\u{f6}cp"),
        ] {
            let request = format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            let (session, _client) = read(&request).await;
            assert_eq!(session.raw_target().unwrap(), target.as_bytes());
            assert_eq!(session.req_header().uri.path(), path, "{target}");
        }
    }
}
