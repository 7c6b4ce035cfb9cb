//! A small OpenID provider that people sign in with. Its page is a function: [`Provider::sign_in`] is what a browser would come back with.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use test_support::{Key, Token, key_set};

use super::browser::{form, query};
use crate::leaks;
use crate::serve::{Answering, Body, Handler, Server, full};

/// Our client id there.
pub const CLIENT_ID: &str = "gateway+1";

/// Our secret there.
pub const CLIENT_SECRET: &str = "s3cret-of-the-gateway";

/// A running provider; it stops when dropped.
pub struct Provider {
    /// Its signing key.
    pub key: Key,
    base: String,
    state: Arc<Mutex<State>>,
    _server: Server,
}

/// What it says and does, which tests change.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Members of the discovery document that are other ones; null leaves a member out.
    pub document: Map<String, Value>,
    /// Claims of ID tokens that are other ones; null leaves a claim out.
    pub claims: Map<String, Value>,
    /// What the userinfo endpoint says in addition to `sub`.
    pub userinfo: Map<String, Value>,
    /// The status of every answer of the token endpoint, if it is out of order.
    pub token_status: Option<u16>,
    /// The error of the token endpoint, if it refuses.
    pub token_error: Option<&'static str>,
    /// Whether it takes a code again and again, which no provider does.
    pub codes_last: bool,
    /// Whether it gives refresh tokens, each for one use.
    pub gives_refresh_tokens: bool,
    /// Whether its answers to refreshes have no ID token.
    pub refreshes_without_id_token: bool,
    /// The key that ID tokens are signed with instead of the published one.
    pub other_key: Option<Key>,
}

struct State {
    behaviour: Behaviour,
    keys: Value,
    key: Key,
    codes: HashMap<String, Code>,
    refresh_tokens: HashMap<String, String>,
    asked: Vec<String>,
}

#[derive(Clone)]
struct Code {
    subject: String,
    nonce: Option<String>,
    challenge: String,
    redirect_uri: String,
}

impl Provider {
    /// One that does everything right.
    pub async fn start() -> Self {
        let key = Key::es256("provider");
        let state = Arc::new(Mutex::new(State {
            behaviour: Behaviour::default(),
            keys: key_set(&[&key]),
            key: key.clone(),
            codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            asked: Vec::new(),
        }));
        let server = Server::tcp((Ipv4Addr::LOCALHOST, 0).into(), handler(&state)).await;
        Self {
            key,
            base: format!("http://{}", server.address()),
            state,
            _server: server,
        }
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> String {
        self.base.clone()
    }

    /// An entry of `providers` with this name, for a secret in the file `provider.secret`.
    pub fn configured(&self, name: &str) -> Value {
        json!({
            "name": name, "issuer": self.issuer(), "client_id": CLIENT_ID,
            "client_secret_file": "provider.secret", "label": "Example Ltd",
        })
    }

    /// Changes what it says and does.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.lock().behaviour);
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// Somebody signs in on its page, to which a browser was sent; where the browser is sent back.
    pub fn sign_in(&self, location: &str, subject: &str) -> String {
        let (redirect, state) = self.asked_for(location);
        let code = self.code(location, subject);
        let answer = form([("code", code.as_str()), ("state", &state)]);
        format!("{redirect}?{answer}")
    }

    /// A code for somebody who signs in there.
    pub fn code(&self, location: &str, subject: &str) -> String {
        let asked = query(location);
        let code = leaks::secret(&URL_SAFE_NO_PAD.encode(random()));
        let held = Code {
            subject: subject.to_owned(),
            nonce: asked.get("nonce").cloned(),
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
        };
        self.lock().codes.insert(code.clone(), held);
        code
    }

    /// The redirect URI and the state of a browser that was sent here with a good request.
    pub fn asked_for(&self, location: &str) -> (String, String) {
        assert!(
            location.starts_with(&format!("{}/authorize?", self.base)),
            "{location}"
        );
        let asked = query(location);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].split(' ').any(|scope| scope == "openid"));
        (asked["redirect_uri"].clone(), asked["state"].clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn random() -> [u8; 24] {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes
}

fn handler(state: &Arc<Mutex<State>>) -> Handler {
    let state = Arc::clone(state);
    Arc::new(move |request| -> Answering {
        let state = Arc::clone(&state);
        Box::pin(async move { Ok(answer(&state, request).await) })
    })
}

async fn answer(state: &Mutex<State>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let body = body.unwrap_or_default();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let base = format!("http://{}", header("host").unwrap_or_default());
    let authorization = header("authorization").unwrap_or_default().to_owned();
    let mut state = state.lock().expect("no holder panics");
    state.asked.push(head.uri.path().to_owned());
    match head.uri.path() {
        "/.well-known/openid-configuration" => ok(&state.document(&base)),
        "/jwks" => ok(&state.keys),
        "/token" => state.token(&base, &authorization, &body),
        "/userinfo" => state.userinfo(&authorization),
        _ => respond(404, &json!({})),
    }
}

impl State {
    fn document(&self, base: &str) -> Value {
        let mut document = json!({
            "issuer": base, "jwks_uri": format!("{base}/jwks"),
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "code_challenge_methods_supported": ["S256"],
        });
        change(&mut document, &self.behaviour.document);
        document
    }

    fn token(&mut self, base: &str, authorization: &str, body: &[u8]) -> Response<Body> {
        if let Some(status) = self.behaviour.token_status {
            return respond(status, &json!({}));
        }
        if let Some(error) = self.behaviour.token_error {
            return refuse(error);
        }
        let encoded = |text: &str| text.replace('+', "%2B");
        let basic = format!("{}:{}", encoded(CLIENT_ID), encoded(CLIENT_SECRET));
        if authorization != format!("Basic {}", STANDARD.encode(basic)) {
            return respond(401, &json!({ "error": "invalid_client" }));
        }
        let body = query(&format!("?{}", String::from_utf8_lossy(body)));
        let (subject, nonce) = match body["grant_type"].as_str() {
            "authorization_code" => match self.redeemed(&body) {
                Some(code) => (code.subject, code.nonce),
                None => return refuse("invalid_grant"),
            },
            _ => match self.refresh_tokens.remove(&body["refresh_token"]) {
                Some(subject) => (subject, None),
                None => return refuse("invalid_grant"),
            },
        };
        self.issued(base, &subject, nonce)
    }

    fn redeemed(&mut self, body: &std::collections::BTreeMap<String, String>) -> Option<Code> {
        let code = match self.behaviour.codes_last {
            true => self.codes.get(&body["code"])?.clone(),
            false => self.codes.remove(&body["code"])?,
        };
        let challenge = digest(&SHA256, body["code_verifier"].as_bytes());
        let fits = URL_SAFE_NO_PAD.encode(challenge) == code.challenge
            && body["redirect_uri"] == code.redirect_uri;
        fits.then_some(code)
    }

    fn issued(&mut self, base: &str, subject: &str, nonce: Option<String>) -> Response<Body> {
        let access_token = format!("access-of-{subject}");
        let key = self.behaviour.other_key.as_ref().unwrap_or(&self.key);
        let header = json!({ "typ": "JWT" });
        let mut claims = json!({ "iss": base, "aud": CLIENT_ID, "sub": subject, "nonce": nonce });
        let is_refresh = nonce.is_none();
        if is_refresh {
            claims.as_object_mut().expect("an object").remove("nonce");
        }
        let mut id_token = Token::exactly(key, header, claims);
        for (name, value) in &self.behaviour.claims {
            id_token = match value {
                Value::Null => id_token.without(name),
                value => id_token.claim(name, value.clone()),
            };
        }
        let id_token = id_token.sign();
        let mut answer = json!({
            "access_token": access_token, "token_type": "Bearer", "id_token": leaks::secret(&id_token),
        });
        if is_refresh && self.behaviour.refreshes_without_id_token {
            answer
                .as_object_mut()
                .expect("an object")
                .remove("id_token");
        }
        if self.behaviour.gives_refresh_tokens {
            let token = leaks::secret(&URL_SAFE_NO_PAD.encode(random()));
            answer["refresh_token"] = json!(token);
            self.refresh_tokens.insert(token, subject.to_owned());
        }
        ok(&answer)
    }

    fn userinfo(&self, authorization: &str) -> Response<Body> {
        let subject = authorization.strip_prefix("Bearer access-of-");
        let Some(subject) = subject else {
            return respond(401, &json!({}));
        };
        let mut claims = json!({ "sub": subject });
        change(&mut claims, &self.behaviour.userinfo);
        ok(&claims)
    }
}

/// Sets members; null removes one.
fn change(document: &mut Value, changes: &Map<String, Value>) {
    let members = document.as_object_mut().expect("an object");
    for (name, value) in changes {
        match value {
            Value::Null => _ = members.remove(name),
            value => _ = members.insert(name.clone(), value.clone()),
        }
    }
}

fn ok(body: &Value) -> Response<Body> {
    respond(200, body)
}

fn refuse(error: &str) -> Response<Body> {
    respond(400, &json!({ "error": error, "error_description": "no" }))
}

fn respond(status: u16, body: &Value) -> Response<Body> {
    let body = Bytes::from(body.to_string());
    crate::upstream::with(status, "application/json", body).map(full)
}
