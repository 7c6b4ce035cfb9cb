//! An MCP server of HTTP+SSE (MCP 2024-11-05), as the Python SDK writes it: it names `/messages/` for messages, answers them with 202,
//! and answers on the event stream.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Answer, Chunk, Feed, Feeds, Recorded, Upstream, feed, head, with};

/// The path of messages, whose final slash counts.
const MESSAGES: &str = "/messages/?session_id=";

/// The result of a request: a list of two tools for `tools/list`.
pub fn result(request: &Value) -> Value {
    match request["method"].as_str() {
        Some("tools/list") => json!({ "tools": [{ "name": "list_tasks" }, { "name": "secret" }] }),
        _ => json!({ "ok": true }),
    }
}

/// The streams that were opened, in order. They end when the test drops its ends.
#[derive(Default)]
struct Streams(Mutex<Vec<mpsc::WeakUnboundedSender<Chunk>>>);

impl Upstream {
    /// Answers from now on as a server of HTTP+SSE, each request with its [`result`]. The test gets the writing end of each stream, after its
    /// endpoint event.
    pub fn http_sse(&self) -> Feeds {
        self.http_sse_for(|_| true)
    }

    /// The same for requests that are accepted; all others get 401.
    pub fn http_sse_for(
        &self,
        is_accepted: impl Fn(&Recorded) -> bool + Send + Sync + 'static,
    ) -> Feeds {
        let (opened, feeds) = mpsc::unbounded_channel();
        let streams = Arc::new(Streams::default());
        self.script(move |request| match request.method {
            _ if !is_accepted(request) => Answer::Full(unauthorized()),
            Method::GET => {
                let (own, body) = feed();
                let session = streams.add(&own);
                own.send(format!("event: endpoint\ndata: {MESSAGES}{session}\n\n"));
                let _ = opened.send(own);
                Answer::Stream(head(200, &[("content-type", "text/event-stream")]), body)
            }
            _ => streams.receive(request),
        });
        Feeds(feeds)
    }
}

fn unauthorized() -> Response<Bytes> {
    let mut answer = with(401, "text/plain", "");
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    answer.headers_mut().insert("www-authenticate", challenge);
    answer
}

impl Streams {
    fn add(&self, stream: &Feed) -> usize {
        let mut streams = self.0.lock().expect("no holder panics");
        streams.push(stream.0.downgrade());
        streams.len() - 1
    }

    /// Answers a message on its stream.
    fn receive(&self, request: &Recorded) -> Answer {
        let session = request.target.strip_prefix(MESSAGES);
        let number = session.and_then(|session| session.parse::<usize>().ok());
        let streams = self.0.lock().expect("no holder panics");
        let stream = number.and_then(|number| streams.get(number)?.upgrade());
        let Some(stream) = stream else {
            return Answer::Full(with(404, "text/plain", "Could not find session"));
        };
        let message = request.json();
        if let (Some(id), Some(_)) = (message.get("id"), message.get("method")) {
            let answer = json!({ "jsonrpc": "2.0", "id": id, "result": result(&message) });
            Feed(stream).event(&answer.to_string());
        }
        Answer::Full(with(202, "text/plain", "Accepted"))
    }
}
