//! An authorization server that is asked about its tokens (RFC 7662), with faults as switches and everything that it was asked.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::issuer::Fault;
use crate::serve::{Answering, Body, Handler, Server, full};
use crate::upstream::{Chunk, head, steps, streamed, with};

/// Where it is asked.
const ENDPOINT: &str = "/introspect";

/// Where its metadata is.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A question that it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, as text.
    pub body: String,
}

struct State {
    tokens: HashMap<String, Value>,
    fault: Fault,
    /// The status and header fields of every answer.
    status: Option<(u16, Vec<(String, String)>)>,
    /// Only so many bytes of an answer are sent, whose head promises all.
    cut: Option<usize>,
    /// How it fails at every token that begins like this.
    broken: Option<(String, Broken)>,
    asked: Vec<Asked>,
}

/// How it fails at a token.
#[derive(Clone)]
pub enum Broken {
    /// It answers like this.
    Fault(Fault),
    /// The connection breaks off in the answer.
    Off,
}

/// A running server; it stops when dropped.
pub struct Introspection {
    server: Option<Server>,
    base: String,
    state: Arc<Mutex<State>>,
}

impl Introspection {
    /// One that knows no token yet.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            tokens: HashMap::new(),
            fault: Fault::None,
            status: None,
            cut: None,
            broken: None,
            asked: Vec::new(),
        }));
        let server = Server::tcp((Ipv4Addr::LOCALHOST, 0).into(), handler(&state)).await;
        Self {
            base: format!("http://{}", server.address()),
            server: Some(server),
            state,
        }
    }

    /// The issuer identifier.
    pub fn identifier(&self) -> &str {
        &self.base
    }

    /// Where it is asked.
    pub fn endpoint(&self) -> String {
        format!("{}{ENDPOINT}", self.base)
    }

    /// Answers this about a token from now on.
    pub fn knows(&self, token: &str, answer: Value) {
        self.with(|state| state.tokens.insert(token.to_owned(), answer));
    }

    /// Knows an active token of `alice` for this audience from now on, with the scopes of the common case.
    pub fn issues(&self, token: &str, audience: &str) {
        self.knows(token, alice(audience));
    }

    /// Does not know a token any more.
    pub fn revokes(&self, token: &str) {
        self.with(|state| state.tokens.remove(token));
    }

    /// Sets how questions are answered.
    pub fn answers(&self, fault: Fault) {
        self.with(|state| state.fault = fault);
    }

    /// Answers with this status and these header fields from now on; with 200 and none for `None`.
    pub fn answers_with(&self, status: Option<(u16, &[(&str, &str)])>) {
        let owned = |(status, fields): (u16, &[(&str, &str)])| {
            let fields = fields
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()));
            (status, fields.collect())
        };
        self.with(|state| state.status = status.map(owned));
    }

    /// Breaks off after so many bytes of an answer; never for `None`.
    pub fn breaks_off(&self, after: Option<usize>) {
        self.with(|state| state.cut = after);
    }

    /// Answers with this status about each token that begins like this from now on, as a filter before it does.
    pub fn breaks_at(&self, prefix: &str, status: u16) {
        self.fails_at(prefix, Broken::Fault(Fault::Status(status)));
    }

    /// Fails at each token that begins like this from now on.
    pub fn fails_at(&self, prefix: &str, broken: Broken) {
        self.with(|state| state.broken = Some((prefix.to_owned(), broken)));
    }

    /// Everything that it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.with(|state| state.asked.clone())
    }

    /// How often it was asked.
    pub fn questions(&self) -> usize {
        self.with(|state| state.asked.len())
    }

    /// Stops.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts again at the same address.
    pub async fn resume(&mut self) {
        let address = self.base.trim_start_matches("http://");
        let address = address.parse().expect("its own address");
        self.server = Some(Server::tcp(address, handler(&self.state)).await);
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().expect("no holder panics"))
    }
}

/// What is said about an active token of `alice` for this audience.
pub fn alice(audience: &str) -> Value {
    json!({
        "active": true, "aud": audience, "sub": "alice", "client_id": "client",
        "scope": "tasks:read tasks:write", "token_type": "Bearer",
    })
}

fn handler(state: &Arc<Mutex<State>>) -> Handler {
    let state = Arc::clone(state);
    Arc::new(move |request| -> Answering {
        let state = Arc::clone(&state);
        Box::pin(async move { Ok(answer(&state, request).await) })
    })
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<Body> {
    let (request, body) = request.into_parts();
    let path = request.uri.path().to_owned();
    if path == METADATA {
        let host = request
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok());
        let base = format!("http://{}", host.unwrap_or_default());
        let document =
            json!({ "issuer": base, "introspection_endpoint": format!("{base}{ENDPOINT}") });
        return json_answer(200, &document);
    }
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
    let token = token_of(&body);
    let asked = Asked {
        path,
        headers: request.headers,
        body,
    };
    let (fault, known, status, cut) = {
        let mut state = state.lock().expect("no holder panics");
        state.asked.push(asked);
        let known = state.tokens.get(&token).cloned();
        let broken = state.broken.as_ref();
        let broken = broken.filter(|(prefix, _)| token.starts_with(prefix));
        let (fault, cut) = match broken {
            Some((_, Broken::Fault(fault))) => (fault.clone(), state.cut),
            Some((_, Broken::Off)) => (Fault::None, Some(1)),
            None => (state.fault.clone(), state.cut),
        };
        (fault, known, state.status.clone(), cut)
    };
    let known = known.unwrap_or_else(|| json!({ "active": false }));
    match (fault, cut) {
        (Fault::None, Some(cut)) => broken_off(&known, cut),
        (Fault::None, None) => with_status(&known, status),
        (Fault::Slow(delay), _) => {
            tokio::time::sleep(delay).await;
            with_status(&known, status)
        }
        (Fault::Hang | Fault::Drip, _) => std::future::pending().await,
        (Fault::Status(status), _) => with(status, "text/plain", "out of order").map(full),
        (Fault::Body(content_type, body), _) => with(200, content_type, body).map(full),
        (Fault::Redirect(location), _) => {
            let mut answer = with(302, "text/plain", Bytes::new()).map(full);
            let location = location.parse().expect("an address");
            answer.headers_mut().insert("location", location);
            answer
        }
    }
}

fn with_status(known: &Value, status: Option<(u16, Vec<(String, String)>)>) -> Response<Body> {
    let (status, fields) = status.unwrap_or((200, Vec::new()));
    let mut answer = json_answer(status, known);
    for (name, value) in fields {
        let name: http::HeaderName = name.parse().expect("a name");
        answer
            .headers_mut()
            .insert(name, value.parse().expect("a value"));
    }
    answer
}

/// The head of a whole answer, and so many bytes of its body; then the connection ends.
fn broken_off(known: &Value, after: usize) -> Response<Body> {
    let whole = known.to_string();
    let length = whole.len().to_string();
    let head = head(
        200,
        &[
            ("content-type", "application/json"),
            ("content-length", &length),
        ],
    );
    let sent = Bytes::copy_from_slice(&whole.as_bytes()[..after.min(whole.len())]);
    let body = [Chunk::Data(sent), Chunk::Break];
    let body = body.into_iter().skip(usize::from(after == 0));
    streamed(head, steps(body))
}

fn json_answer(status: u16, document: &Value) -> Response<Body> {
    with(status, "application/json", document.to_string()).map(full)
}

/// The token in a form, or in the JSON that GitHub is asked with.
fn token_of(body: &str) -> String {
    if let Ok(Value::Object(members)) = serde_json::from_str(body) {
        return members["access_token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
    }
    let mut pairs = form_urlencoded::parse(body.as_bytes());
    let token = pairs.find(|(name, _)| matches!(&**name, "token" | "access_token"));
    token
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
