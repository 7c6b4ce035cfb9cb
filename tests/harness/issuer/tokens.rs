//! A token endpoint for the gateway's own tokens: client credentials and token exchange (RFC 6749 §4.4, RFC 8693), with everything that it was
//! asked and answers that a test scripts.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::serve::{Answering, Body, Handler, Server, full};
use crate::upstream::with;

/// Where it is asked.
const ENDPOINT: &str = "/token";

/// Where its metadata is.
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A request for a token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The header fields.
    pub headers: HeaderMap,
    /// The form.
    pub form: String,
}

impl TokenRequest {
    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.form.as_bytes());
        let found = pairs.find(|(own, _)| own == name);
        found.map(|(_, value)| value.into_owned())
    }
}

type Script = Arc<dyn Fn(&TokenRequest) -> Response<Bytes> + Send + Sync>;

struct State {
    script: Script,
    delay: Duration,
    /// At whose tokens the connection breaks off.
    breaks_off_at: Option<String>,
    asked: Vec<TokenRequest>,
}

/// A running token endpoint; it stops when dropped.
pub struct TokenEndpoint {
    server: Option<Server>,
    base: String,
    state: Arc<Mutex<State>>,
}

impl TokenEndpoint {
    /// One that answers as [`issued`] does.
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            script: Arc::new(issued),
            delay: Duration::ZERO,
            breaks_off_at: None,
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

    /// Answers by `script` from now on.
    pub fn script(
        &self,
        script: impl Fn(&TokenRequest) -> Response<Bytes> + Send + Sync + 'static,
    ) {
        self.with(|state| state.script = Arc::new(script));
    }

    /// Answers so late from now on.
    pub fn delays(&self, delay: Duration) {
        self.with(|state| state.delay = delay);
    }

    /// Breaks off the connection instead of an answer about the tokens of this person from now on.
    pub fn breaks_off_at(&self, person: &str) {
        self.with(|state| state.breaks_off_at = Some(person.to_owned()));
    }

    /// Everything that it was asked.
    pub fn asked(&self) -> Vec<TokenRequest> {
        self.with(|state| state.asked.clone())
    }

    /// Stops.
    pub fn stop(&mut self) {
        self.server = None;
    }

    fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock().expect("no holder panics"))
    }
}

/// A token that names the person for whose token it is, who is the `sub` of that JWT; `gateway` for client credentials.
pub fn issued(request: &TokenRequest) -> Response<Bytes> {
    let token = match request.parameter("subject_token") {
        Some(subject) => format!("issued-for-{}", subject_of(&subject)),
        None => "issued-for-gateway".to_owned(),
    };
    answer(
        200,
        &json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 300,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }),
    )
}

/// A JSON answer.
pub fn answer(status: u16, document: &Value) -> Response<Bytes> {
    with(status, "application/json", document.to_string())
}

/// The `sub` of a JWT.
pub fn subject_of(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = test_support::base64url_decode(claims);
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    claims["sub"].as_str().unwrap_or("nobody").to_owned()
}

fn handler(state: &Arc<Mutex<State>>) -> Handler {
    let state = Arc::clone(state);
    Arc::new(move |request| -> Answering {
        let state = Arc::clone(&state);
        Box::pin(answered(state, request))
    })
}

async fn answered(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (request, body) = request.into_parts();
    if request.uri.path() == METADATA {
        let host = request
            .headers
            .get("host")
            .and_then(|host| host.to_str().ok());
        let base = format!("http://{}", host.unwrap_or_default());
        let document = json!({ "issuer": base, "token_endpoint": format!("{base}{ENDPOINT}") });
        return Ok(answer(200, &document).map(full));
    }
    let body = body.collect().await.map(|body| body.to_bytes());
    let asked = TokenRequest {
        headers: request.headers,
        form: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    };
    let subject = asked.parameter("subject_token").unwrap_or_default();
    let (script, delay, breaks_off) = {
        let mut state = state.lock().expect("no holder panics");
        state.asked.push(asked.clone());
        let person = state.breaks_off_at.as_ref();
        let breaks_off = person.is_some_and(|person| *person == subject_of(&subject));
        (state.script.clone(), state.delay, breaks_off)
    };
    tokio::time::sleep(delay).await;
    if breaks_off {
        return Err(io::Error::other("it breaks on this token"));
    }
    Ok(script(&asked).map(full))
}
