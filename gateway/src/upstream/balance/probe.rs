//! One health check of one endpoint: a connection, a GET request, or a message of MCP.
//!
//! A check has no credentials and no identity. 401, 404 and 405 are signs of life as well: any status below 500 is.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full, Limited};
use mcp_gateway_core::{
    balance::outcome::is_alive,
    mcp::{
        headers::{METHOD, PROTOCOL_VERSION, SESSION_ID},
        method::McpMethod,
        supported::FIRST_MODERN,
        version::LEGACY,
    },
};
use serde_json::{Value, json};

use crate::{
    config::{CheckKind, HealthCheck},
    upstream::{body::UpstreamBody, endpoint::Endpoint, error::SendError},
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The checks of one endpoint, and what they know about it.
#[derive(Debug)]
pub(super) struct Probe {
    kind: CheckKind,
    path: Option<String>,
    era: Era,
}

/// The era of a server, as far as it is known.
#[derive(Debug)]
enum Era {
    Unknown,
    Modern,
    /// The session of the checks; none before it begins.
    Legacy(Option<Session>),
}

/// A legacy session; a server without sessions gives no id.
#[derive(Debug)]
struct Session(Option<HeaderValue>);

impl Probe {
    pub(super) fn new(check: &HealthCheck) -> Self {
        Self {
            kind: check.settings.kind,
            path: check.path.clone(),
            era: Era::Unknown,
        }
    }

    /// Checks `endpoint` once.
    ///
    /// # Errors
    /// It is dead: why.
    pub(super) async fn ask(&mut self, endpoint: &Endpoint) -> Result<(), String> {
        match self.kind {
            CheckKind::Tcp => endpoint.reach().await.map_err(|error| error.to_string()),
            CheckKind::Http => self.get(endpoint).await,
            CheckKind::Mcp => self.call(endpoint).await,
        }
    }

    async fn get(&self, endpoint: &Endpoint) -> Result<(), String> {
        let own = || endpoint.target(endpoint.query());
        let path = self.path.as_ref().and_then(|path| path.parse().ok());
        let target = path.unwrap_or_else(own);
        let message = Message {
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        living(message.send(endpoint, target).await?).map(drop)
    }

    async fn call(&mut self, endpoint: &Endpoint) -> Result<(), String> {
        match &mut self.era {
            Era::Unknown => {
                let answer = living(discover().send_to(endpoint).await?)?;
                let is_modern = answer.status().is_success() && has_result(answer).await;
                if is_modern {
                    self.era = Era::Modern;
                    return Ok(());
                }
                self.era = Era::Legacy(None);
                self.open_session(endpoint).await
            }
            Era::Modern => {
                let answer = living(discover().send_to(endpoint).await?)?;
                if answer.status().is_client_error() {
                    // Another server, perhaps.
                    self.era = Era::Unknown;
                }
                Ok(())
            }
            Era::Legacy(None) => self.open_session(endpoint).await,
            Era::Legacy(Some(session)) => {
                let answer = living(ping(session).send_to(endpoint).await?)?;
                if answer.status().is_client_error() {
                    // The session is over: the next check opens one, if the server still has sessions.
                    self.era = Era::Unknown;
                }
                Ok(())
            }
        }
    }

    async fn open_session(&mut self, endpoint: &Endpoint) -> Result<(), String> {
        let answer = living(initialize().send_to(endpoint).await?)?;
        if !answer.status().is_success() {
            return Ok(());
        }
        let session = Session(answer.headers().get(SESSION_ID).cloned());
        // The end of the answer is waited for: some servers accept nothing before.
        let _ = has_result(answer).await;
        living(initialized(&session).send_to(endpoint).await?)?;
        self.era = Era::Legacy(Some(session));
        Ok(())
    }
}

fn living(answer: Response<UpstreamBody>) -> Result<Response<UpstreamBody>, String> {
    match is_alive(answer.status()) {
        true => Ok(answer),
        false => Err(format!("status {}", answer.status().as_u16())),
    }
}

/// Whether an answer, JSON or events, has the result of a request.
async fn has_result(answer: Response<UpstreamBody>) -> bool {
    let body = Limited::new(answer.into_body(), MAX_ANSWER);
    let Ok(body) = body.collect().await else {
        return false;
    };
    let body = body.to_bytes();
    let has_result = |json: &[u8]| {
        let parsed: Result<Value, _> = serde_json::from_slice(json);
        parsed.is_ok_and(|json| json.get("result").is_some())
    };
    let mut lines = body.split(|byte| *byte == b'\n');
    has_result(&body) || lines.any(|line| line.strip_prefix(b"data:").is_some_and(has_result))
}

/// A message of a check.
struct Message {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    fn mcp(body: &Value, version: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        let fixed = [
            (CONTENT_TYPE, "application/json"),
            (ACCEPT, "application/json, text/event-stream"),
            (PROTOCOL_VERSION, version),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Self {
            method: Method::POST,
            headers,
            body: Bytes::from(body.to_string()),
        }
    }

    fn in_session(mut self, session: &Session) -> Self {
        if let Some(id) = &session.0 {
            self.headers.insert(SESSION_ID, id.clone());
        }
        self
    }

    async fn send_to(&self, endpoint: &Endpoint) -> Result<Response<UpstreamBody>, String> {
        self.send(endpoint, endpoint.target(endpoint.query())).await
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        target: Uri,
    ) -> Result<Response<UpstreamBody>, String> {
        let first = endpoint.send(self.request(endpoint, &target)).await;
        let answer = match first {
            Err(SendError::Closed { before, .. }) => {
                let again = self.request(endpoint, &target);
                endpoint.send_again(again, before).await
            }
            first => first,
        };
        answer.map_err(|error| error.to_string())
    }

    fn request(&self, endpoint: &Endpoint, target: &Uri) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, endpoint.host().clone());
        request
    }
}

fn client() -> Value {
    json!({ "name": "mcp-gateway-health-check", "version": env!("CARGO_PKG_VERSION") })
}

fn discover() -> Message {
    let method = McpMethod::Discover.name();
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": { "_meta": {
            "io.modelcontextprotocol/protocolVersion": FIRST_MODERN,
            "io.modelcontextprotocol/clientInfo": client(),
            "io.modelcontextprotocol/clientCapabilities": {},
        } },
    });
    let mut message = Message::mcp(&body, FIRST_MODERN);
    message
        .headers
        .insert(METHOD, HeaderValue::from_static(method));
    message
}

/// The last revision of the legacy era.
fn legacy() -> &'static str {
    LEGACY.last().copied().unwrap_or_default()
}

fn initialize() -> Message {
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": McpMethod::Initialize.name(),
        "params": { "protocolVersion": legacy(), "capabilities": {}, "clientInfo": client() },
    });
    Message::mcp(&body, legacy())
}

fn initialized(session: &Session) -> Message {
    let body = json!({ "jsonrpc": "2.0", "method": McpMethod::Initialized.name() });
    Message::mcp(&body, legacy()).in_session(session)
}

fn ping(session: &Session) -> Message {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": McpMethod::Ping.name() });
    Message::mcp(&body, legacy()).in_session(session)
}
