//! An authorization server whose faults are switches: metadata documents and a key set over HTTP, and counts of its requests.

pub mod introspection;
pub mod tokens;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::certificates::Leaf;
use crate::serve::{Answering, Body, Handler, Server, full};
use crate::upstream::{Chunk, streamed};
use test_support::{Key, Token, key_set};

/// How one of its endpoints behaves.
#[derive(Clone)]
pub enum Fault {
    /// Correctly.
    None,
    /// Answers correctly, after a delay.
    Slow(Duration),
    /// Accepts and never answers.
    Hang,
    /// Sends the head, then a byte a second.
    Drip,
    /// Answers with this status and nothing useful.
    Status(u16),
    /// Answers with this instead.
    Body(&'static str, Bytes),
    /// Redirects to this address.
    Redirect(String),
}

struct State {
    scheme: &'static str,
    path: String,
    documents: Vec<String>,
    metadata: Fault,
    keys: Fault,
    claimed_issuer: Option<String>,
    claimed_keys: Option<String>,
    bearer: Option<String>,
    authorizations: Vec<Option<String>>,
    set: Value,
    counts: HashMap<String, usize>,
}

/// A running issuer; it stops when dropped.
pub struct Issuer {
    /// Its first signing key.
    pub key: Key,
    server: Option<Server>,
    base: String,
    state: Arc<Mutex<State>>,
}

impl Issuer {
    /// One at a bare origin, with RFC 8414 metadata.
    pub async fn start() -> Self {
        Self::start_at("", &["/.well-known/oauth-authorization-server"]).await
    }

    /// One whose issuer identifier has `path`, serving its metadata at exactly these paths.
    pub async fn start_at(path: &str, documents: &[&str]) -> Self {
        let key = Key::es256("first");
        let state = State::new(&key, path, documents);
        let server = Server::tcp((Ipv4Addr::LOCALHOST, 0).into(), handler(&state)).await;
        let base = format!("http://{}", server.address());
        Self {
            key,
            server: Some(server),
            base,
            state,
        }
    }

    /// One at `https://localhost` with this certificate, serving only its key set.
    pub async fn start_tls(leaf: &Leaf) -> Self {
        Self::start_tls_at("localhost", leaf, &[]).await
    }

    /// One that is `https://` and this name with this certificate, serving its metadata at exactly these paths.
    pub async fn start_tls_at(name: &str, leaf: &Leaf, documents: &[&str]) -> Self {
        let key = Key::es256("first");
        let state = State::new(&key, "", documents);
        state.lock().expect("no holder panics").scheme = "https";
        let server = Server::tls(
            (Ipv4Addr::LOCALHOST, 0).into(),
            leaf.server(),
            handler(&state),
        )
        .await;
        let base = format!("https://{name}:{}", server.address().port());
        Self {
            key,
            server: Some(server),
            base,
            state,
        }
    }

    /// The issuer identifier.
    pub fn identifier(&self) -> String {
        format!("{}{}", self.base, self.with(|state| state.path.clone()))
    }

    /// The address of its key set.
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.base)
    }

    /// A token of this issuer for `audience`.
    pub fn token(&self, audience: &str) -> Token {
        Token::new(&self.key, &self.identifier(), audience)
    }

    /// Sets how metadata is answered.
    pub fn metadata(&self, fault: Fault) {
        self.with(|state| state.metadata = fault);
    }

    /// Sets how the key set is answered.
    pub fn keys(&self, fault: Fault) {
        self.with(|state| state.keys = fault);
    }

    /// Publishes these keys from now on.
    pub fn publish(&self, keys: &[&Key]) {
        self.publish_set(key_set(keys));
    }

    /// Publishes this document from now on.
    pub fn publish_set(&self, set: Value) {
        self.with(|state| state.set = set);
    }

    /// Names another issuer in its metadata.
    pub fn claim_to_be(&self, issuer: &str) {
        self.with(|state| state.claimed_issuer = Some(issuer.to_owned()));
    }

    /// Names another address of its keys in its metadata.
    pub fn claim_keys_at(&self, uri: &str) {
        self.with(|state| state.claimed_keys = Some(uri.to_owned()));
    }

    /// Answers only requests with this bearer token from now on.
    pub fn require_bearer(&self, token: &str) {
        self.with(|state| state.bearer = Some(format!("Bearer {token}")));
    }

    /// What `Authorization` was in each request.
    pub fn authorizations(&self) -> Vec<Option<String>> {
        self.with(|state| state.authorizations.clone())
    }

    /// This issuer by another name: the name of its host, which only a proxy can resolve.
    pub fn rename(&mut self, host: &str) {
        let (scheme, rest) = self.base.split_once("://").expect("a URL");
        let (_, port) = rest.rsplit_once(':').expect("a port");
        self.base = format!("{scheme}://{host}:{port}");
    }

    /// How often this path was fetched.
    pub fn fetches(&self, path: &str) -> usize {
        self.with(|state| state.counts.get(path).copied().unwrap_or_default())
    }

    /// Everything that was fetched, with counts.
    pub fn counts(&self) -> HashMap<String, usize> {
        self.with(|state| state.counts.clone())
    }

    /// Stops.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts again at the same address.
    pub async fn resume(&mut self) {
        let address = self
            .base
            .trim_start_matches("http://")
            .parse()
            .expect("its own address");
        self.server = Some(Server::tcp(address, handler(&self.state)).await);
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().expect("no holder panics"))
    }
}

impl State {
    fn new(key: &Key, path: &str, documents: &[&str]) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            scheme: "http",
            path: path.to_owned(),
            documents: documents
                .iter()
                .map(|document| (*document).to_owned())
                .collect(),
            metadata: Fault::None,
            keys: Fault::None,
            claimed_issuer: None,
            claimed_keys: None,
            bearer: None,
            authorizations: Vec::new(),
            set: key_set(&[key]),
            counts: HashMap::new(),
        }))
    }
}

fn handler(state: &Arc<Mutex<State>>) -> Handler {
    let state = Arc::clone(state);
    Arc::new(move |request| -> Answering {
        let state = Arc::clone(&state);
        Box::pin(async move {
            let (fault, document) = choose(&state, &request);
            Ok(answer(fault, document).await)
        })
    })
}

/// The fault of the requested endpoint, and its answer without the fault.
fn choose(state: &Mutex<State>, request: &Request<Incoming>) -> (Fault, Option<Value>) {
    let mut state = state.lock().expect("no holder panics");
    let path = request.uri().path().to_owned();
    *state.counts.entry(path.clone()).or_default() += 1;
    let host = request
        .headers()
        .get("host")
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let base = format!("{}://{host}", state.scheme);
    let authorization = request.headers().get("authorization");
    let authorization = authorization.map(|value| value.to_str().expect("text").to_owned());
    state.authorizations.push(authorization.clone());
    if state.bearer.is_some() && state.bearer != authorization {
        return (Fault::Status(401), Some(Value::Null));
    }
    if path == "/jwks" {
        return (state.keys.clone(), Some(state.set.clone()));
    }
    if state.documents.contains(&path) {
        let issuer = state
            .claimed_issuer
            .clone()
            .unwrap_or_else(|| format!("{base}{}", state.path));
        let keys = state.claimed_keys.clone();
        let keys = keys.unwrap_or_else(|| format!("{base}/jwks"));
        let document = json!({
            "issuer": issuer, "jwks_uri": keys,
            "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
            "response_types_supported": ["code"],
        });
        return (state.metadata.clone(), Some(document));
    }
    (Fault::None, None)
}

async fn answer(fault: Fault, document: Option<Value>) -> Response<Body> {
    match (fault, document) {
        (_, None) => respond(404, "text/plain", Bytes::from_static(b"not here")),
        (Fault::None, Some(document)) => {
            respond(200, "application/json", document.to_string().into())
        }
        (Fault::Slow(delay), Some(document)) => {
            tokio::time::sleep(delay).await;
            respond(200, "application/json", document.to_string().into())
        }
        (Fault::Hang, _) => std::future::pending().await,
        (Fault::Drip, Some(document)) => drip(document.to_string()),
        (Fault::Status(status), _) => {
            respond(status, "text/plain", Bytes::from_static(b"out of order"))
        }
        (Fault::Body(content_type, body), _) => respond(200, content_type, body),
        (Fault::Redirect(location), _) => {
            let mut answer = respond(302, "text/plain", Bytes::new());
            answer
                .headers_mut()
                .insert("location", location.parse().expect("an address"));
            answer
        }
    }
}

fn respond(status: u16, content_type: &str, body: Bytes) -> Response<Body> {
    crate::upstream::with(status, content_type, body).map(full)
}

fn drip(text: String) -> Response<Body> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for byte in text.into_bytes() {
            if sender.send(Chunk::Data(Bytes::from(vec![byte]))).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let head = crate::upstream::head(200, &[("content-type", "application/json")]);
    streamed(head, receiver)
}
