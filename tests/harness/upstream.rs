//! The recording upstream: an MCP server whose answers a test scripts, which records every request, and which
//! fails the test at its end if a credential arrived (`tests/attacks.md` 43).

pub mod assertion;
pub mod http_sse;
pub mod name_server;
pub mod relay;
pub mod tasks;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::serve::{Answering, Body, Handler, Server, full};
use crate::{SOON, eventually, leaks};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The target as received: path and query.
    pub target: String,
    /// The version of HTTP.
    pub version: Version,
    /// Every header field.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What the upstream does with a request.
pub enum Answer {
    /// A whole answer.
    Full(Response<Bytes>),
    /// A head at once, and a body that the test writes.
    Stream(Response<()>, mpsc::UnboundedReceiver<Chunk>),
    /// No answer at all.
    Hang,
    /// The connection is closed without an answer.
    Drop,
}

/// One step of a streamed body.
pub enum Chunk {
    /// Bytes to write.
    Data(Bytes),
    /// The connection is aborted here.
    Break,
}

/// The writing end of a streamed body. Dropping it ends the body correctly.
pub struct Feed(mpsc::UnboundedSender<Chunk>);

type Script = Arc<dyn Fn(&Recorded) -> Answer + Send + Sync>;

struct Shared {
    script: Mutex<Script>,
    seen: Mutex<Vec<Recorded>>,
    abandoned: AtomicUsize,
    forgiving: Mutex<bool>,
    credentials: Mutex<Vec<Accepted>>,
}

/// Says of a value of `Authorization` whether it is a credential that the upstream is to get.
type Accepted = Box<dyn Fn(&str) -> bool + Send>;

/// A running recording upstream.
pub struct Upstream {
    server: Option<Server>,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Starts one on a free port; it answers as [`echo`] does.
    pub async fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// The same at this address.
    pub async fn start_at(address: SocketAddr) -> Self {
        let shared = Shared::new();
        let server = Server::tcp(address, handler(&shared)).await;
        Self {
            address: server.address(),
            server: Some(server),
            shared,
        }
    }

    /// The same over HTTPS.
    pub async fn start_tls(tls: Arc<rustls::ServerConfig>) -> Self {
        let shared = Shared::new();
        let server = Server::tls((Ipv4Addr::LOCALHOST, 0).into(), tls, handler(&shared)).await;
        Self {
            address: server.address(),
            server: Some(server),
            shared,
        }
    }

    /// The same on a unix socket.
    pub fn start_unix(path: &Path) -> Self {
        let shared = Shared::new();
        let server = Server::unix(path, handler(&shared));
        Self {
            address: server.address(),
            server: Some(server),
            shared,
        }
    }

    /// Stops listening and aborts every connection.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Listens again where it did before [`stop`](Self::stop).
    pub async fn resume(&mut self) {
        self.server = Some(Server::tcp(self.address, handler(&self.shared)).await);
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Answers by `script` from now on.
    pub fn script(&self, script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        *self.shared.script.lock().expect("no holder panics") = Arc::new(script);
    }

    /// Streams every answer from now on; the test gets the writing end of each.
    pub fn streams(&self, content_type: &'static str) -> Feeds {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.script(move |_| {
            let (feed, body) = mpsc::unbounded_channel();
            let _ = sender.send(Feed(feed));
            Answer::Stream(head(200, &[("content-type", content_type)]), body)
        });
        Feeds(receiver)
    }

    /// Everything received so far.
    pub fn seen(&self) -> Vec<Recorded> {
        self.shared.seen.lock().expect("no holder panics").clone()
    }

    /// How many requests were received.
    pub fn hits(&self) -> usize {
        self.shared.seen.lock().expect("no holder panics").len()
    }

    /// The last request received.
    pub fn last(&self) -> Recorded {
        self.seen().pop().expect("a request arrived")
    }

    /// How many requests the other side cancelled before their answer.
    pub fn abandoned(&self) -> usize {
        self.shared.abandoned.load(Ordering::SeqCst)
    }

    /// How many connections were accepted.
    pub fn accepted(&self) -> usize {
        self.server.as_ref().map_or(0, Server::accepted)
    }

    /// Waits for the request number `count`.
    pub async fn received(&self, count: usize) {
        eventually(&format!("request {count} at the upstream"), async || {
            self.hits() >= count
        })
        .await;
    }

    /// Waits until no connection is open, at most `within`.
    pub async fn deserted(&self, within: Duration) {
        let mut open = self.server.as_ref().expect("it runs").open();
        let result = timeout(within, open.wait_for(|open| *open == 0)).await;
        assert!(
            result.is_ok(),
            "the connection to the upstream is still open after {within:?}"
        );
    }

    /// For tests whose *bodies* carry a token on purpose: heads are still checked.
    pub fn bodies_may_hold_tokens(&self) {
        *self.shared.forgiving.lock().expect("no holder panics") = true;
    }

    /// For tests whose configuration gives the upstream this credential of its own. Tokens of callers are still looked for.
    pub fn has_credential(&self, value: &'static str) {
        self.has_credentials(move |found| found == value);
    }

    /// The same for each value of which this holds.
    pub fn has_credentials(&self, is_own: impl Fn(&str) -> bool + Send + 'static) {
        let mut credentials = self.shared.credentials.lock().expect("no holder panics");
        credentials.push(Box::new(is_own));
    }

    fn check(&self) {
        let own = self.shared.credentials.lock().expect("no holder panics");
        let is_own = |found: &str| own.iter().any(|is_own| is_own(found));
        let bodies_too = !*self.shared.forgiving.lock().expect("no holder panics");
        for request in self.seen() {
            for name in ["authorization", "cookie", "proxy-authorization"] {
                let found = request.headers.get(name);
                let found = found.map(|found| String::from_utf8_lossy(found.as_bytes()));
                assert!(
                    found.is_none_or(|found| is_own(&found)),
                    "{name} reached the upstream: {request:?}"
                );
            }
            // What may be in it was looked at.
            let mut headers = request.headers.clone();
            headers.remove("authorization");
            let mut text = format!("{} {headers:?}", request.target);
            if bodies_too {
                text.push_str(&String::from_utf8_lossy(&request.body));
            }
            assert_eq!(
                leaks::find(&leaks::without_assertions(&text)),
                None,
                "a credential reached the upstream: {request:?}"
            );
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.check();
        }
    }
}

impl Recorded {
    /// A header as text, if it came once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?;
        assert!(
            values.next().is_none(),
            "{name} came twice: {:?}",
            self.headers
        );
        first.to_str().ok()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// The writing ends of streamed answers, one for each request.
pub struct Feeds(mpsc::UnboundedReceiver<Feed>);

impl Feeds {
    /// From what a script sends.
    pub fn of(feeds: mpsc::UnboundedReceiver<Feed>) -> Self {
        Self(feeds)
    }

    /// The feed of the next request.
    pub async fn next(&mut self) -> Feed {
        timeout(SOON, self.0.recv())
            .await
            .expect("a request within the time")
            .expect("the upstream runs")
    }
}

impl Feed {
    /// Writes `text` at once.
    pub fn send(&self, text: impl Into<Bytes>) {
        let _ = self.0.send(Chunk::Data(text.into()));
    }

    /// Writes one event with this data.
    pub fn event(&self, data: &str) {
        self.send(format!("event: message\ndata: {data}\n\n"));
    }

    /// Aborts the connection.
    pub fn break_off(self) {
        let _ = self.0.send(Chunk::Break);
    }

    /// Waits until the other side has disconnected, at most `within`.
    pub async fn gone(&self, within: Duration) {
        assert!(
            timeout(within, self.0.closed()).await.is_ok(),
            "still connected after {within:?}"
        );
    }

    /// Whether the other side has disconnected.
    pub fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

/// A plain MCP answer: a result for a request, 202 for anything without an id, an event stream for GET.
pub fn echo(request: &Recorded) -> Answer {
    let message = request.json();
    match (message.get("method"), message.get("id")) {
        (Some(_), Some(id)) => result(id, json!({ "ok": true })),
        _ if request.method == Method::GET => Answer::Full(with(
            200,
            "text/event-stream",
            "event: message\ndata: {}\n\n",
        )),
        _ => Answer::Full(with(202, "", "")),
    }
}

/// A JSON-RPC result for `id`.
pub fn result(id: &Value, result: Value) -> Answer {
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": result });
    Answer::Full(with(200, "application/json", body.to_string()))
}

/// A legacy server with sessions: it names them `upstream-session-N`, repeats the id on every answer and refuses any other.
pub fn sessions() -> impl Fn(&Recorded) -> Answer + Send + Sync {
    let opened = AtomicUsize::new(0);
    move |request| {
        let opens = request.json().get("method") == Some(&json!("initialize"));
        let id = match request.header("mcp-session-id") {
            _ if opens => format!(
                "upstream-session-{}",
                opened.fetch_add(1, Ordering::SeqCst) + 1
            ),
            Some(id) if id.starts_with("upstream-session-") => id.to_owned(),
            Some(_) => {
                return Answer::Full(with(404, "application/json", "{\"unknown\":\"session\"}"));
            }
            None => {
                return Answer::Full(with(400, "application/json", "{\"missing\":\"session\"}"));
            }
        };
        let Answer::Full(mut answer) = echo(request) else {
            return Answer::Drop;
        };
        answer
            .headers_mut()
            .insert("mcp-session-id", id.parse().expect("visible ASCII"));
        Answer::Full(answer)
    }
}

/// A whole answer.
pub fn with(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut builder = Response::builder().status(status);
    if !content_type.is_empty() {
        builder = builder.header("content-type", content_type);
    }
    builder.body(body.into()).expect("a well-formed answer")
}

/// The head of a streamed answer.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Response<()> {
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| {
        builder.header(*name, *value)
    });
    builder.body(()).expect("a well-formed head")
}

/// A body written by the test, for scripts that make their own head.
pub fn feed() -> (Feed, mpsc::UnboundedReceiver<Chunk>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Feed(sender), receiver)
}

/// A body of fixed steps, for scripts: what is listed is written, then it ends, or is aborted at [`Chunk::Break`].
pub fn steps(steps: impl IntoIterator<Item = Chunk>) -> mpsc::UnboundedReceiver<Chunk> {
    let (sender, receiver) = mpsc::unbounded_channel();
    for step in steps {
        let _ = sender.send(step);
    }
    receiver
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::new(Arc::new(echo)),
            seen: Mutex::default(),
            abandoned: AtomicUsize::new(0),
            forgiving: Mutex::new(false),
            credentials: Mutex::default(),
        })
    }
}

fn handler(shared: &Arc<Shared>) -> Handler {
    let shared = Arc::clone(shared);
    Arc::new(move |request| -> Answering { Box::pin(answer(Arc::clone(&shared), request)) })
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, io::Error> {
    let mut unfinished = Unfinished(Some(Arc::clone(&shared)));
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let recorded = Recorded {
        method: head.method,
        target: head.uri.to_string(),
        version: head.version,
        headers: head.headers,
        body,
    };
    let script = Arc::clone(&shared.script.lock().expect("no holder panics"));
    shared
        .seen
        .lock()
        .expect("no holder panics")
        .push(recorded.clone());
    let answer = match script(&recorded) {
        Answer::Full(answer) => Ok(answer.map(full)),
        Answer::Stream(head, chunks) => Ok(streamed(head, chunks)),
        Answer::Drop => Err(io::Error::other("dropped by the script")),
        Answer::Hang => std::future::pending().await,
    };
    unfinished.0 = None;
    answer
}

/// A head with a body that is read from `chunks` as they come.
pub(crate) fn streamed(
    head: Response<()>,
    chunks: mpsc::UnboundedReceiver<Chunk>,
) -> Response<Body> {
    head.map(|()| Fed(chunks, false).boxed())
}

/// Counts a request whose sender disconnected before its answer.
struct Unfinished(Option<Arc<Shared>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A body read from a channel, and whether it is aborted next.
struct Fed(mpsc::UnboundedReceiver<Chunk>, bool);

impl hyper::body::Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.1 {
            return Poll::Ready(Some(Err(io::Error::other("broken off by the script"))));
        }
        match self.0.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Chunk::Data(data))) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Poll::Ready(Some(Chunk::Break)) => {
                // Not at once: the server would discard what it has not flushed.
                self.1 = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Call, http, initialize};

    #[tokio::test]
    #[should_panic(expected = "authorization reached the upstream")]
    async fn a_credential_in_the_head_fails_the_test() {
        let upstream = Upstream::start().await;
        Call::post(&http(), upstream.url(), initialize())
            .token("x")
            .send()
            .await;
    }

    #[tokio::test]
    #[should_panic(expected = "a credential reached the upstream")]
    async fn a_token_in_the_body_fails_the_test() {
        let upstream = Upstream::start().await;
        let token = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9";
        Call::post(&http(), upstream.url(), format!("{{\"x\":\"{token}\"}}"))
            .send()
            .await;
    }
}
