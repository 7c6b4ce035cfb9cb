//! The ordinary way in: HTTP requests as an MCP client sends them.

pub mod raw;
pub mod raw_http2;
pub mod sse;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::leaks;

/// The content types an MCP client accepts.
pub const ACCEPT: &str = "application/json, text/event-stream";

/// One call to be sent.
#[derive(Clone)]
pub struct Call {
    http: reqwest::Client,
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Every header field.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A client that follows no redirect and no proxy setting.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

impl Call {
    /// A call without headers or body.
    pub fn new(http: &reqwest::Client, method: Method, url: String) -> Self {
        Self {
            http: http.clone(),
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A POST of one JSON-RPC message, with the headers every MCP client sends.
    pub fn post(http: &reqwest::Client, url: String, body: impl Into<Bytes>) -> Self {
        let mut call = Self::new(http, Method::POST, url)
            .with("content-type", "application/json")
            .with("accept", ACCEPT);
        call.body = body.into();
        call
    }

    /// Sets a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(self::name(name), self::value(value));
        self
    }

    /// Adds a header next to one of the same name.
    pub fn also(mut self, name: &str, value: &str) -> Self {
        self.headers.append(self::name(name), self::value(value));
        self
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Sets a header of raw bytes.
    pub fn with_bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.insert(
            self::name(name),
            HeaderValue::from_bytes(value).expect("a header value"),
        );
        self
    }

    /// Presents this token.
    pub fn token(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The headers of MCP 2026-07-28 for this method and name.
    pub fn modern(self, method: &str, name: Option<&str>) -> Self {
        let call = self
            .with("mcp-protocol-version", MODERN)
            .with("mcp-method", method);
        match name {
            Some(name) => call.with("mcp-name", name),
            None => call,
        }
    }

    /// Sends it and reads the head of the answer.
    pub async fn open(self) -> reqwest::Response {
        self.attempt().await.expect("an answer")
    }

    /// Sends it and returns the failure if there is one.
    pub async fn attempt(self) -> Result<reqwest::Response, reqwest::Error> {
        self.http
            .request(self.method, self.url)
            .headers(self.headers)
            .body(self.body)
            .send()
            .await
    }

    /// Sends it and reads the whole answer, which must hold no token.
    pub async fn send(self) -> Reply {
        let answer = self.open().await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.expect("a whole body");
        let reply = Reply {
            status,
            headers,
            body,
        };
        assert_eq!(
            leaks::find(&format!("{:?} {}", reply.headers, reply.text())),
            None,
            "a token came back: {reply:?}"
        );
        reply
    }
}

/// The modern revision.
pub const MODERN: &str = "2026-07-28";
/// The last revision with sessions.
pub const LEGACY: &str = "2025-11-25";

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header as text, empty when absent; panics when it is repeated.
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let first = values
            .next()
            .map_or("", |value| value.to_str().expect("ASCII"));
        assert!(
            values.next().is_none(),
            "{name} came twice: {:?}",
            self.headers
        );
        first
    }

    /// The first challenge, empty when there is none.
    pub fn challenge(&self) -> &str {
        self.challenges().first().copied().unwrap_or_default()
    }

    /// The challenges: one for each scheme that is accepted.
    pub fn challenges(&self) -> Vec<&str> {
        let values = self.headers.get_all("www-authenticate").iter();
        values.map(|value| value.to_str().expect("ASCII")).collect()
    }

    /// The JSON-RPC error code of the body, if it is an error.
    pub fn rpc_code(&self) -> Option<i64> {
        serde_json::from_slice::<Value>(&self.body)
            .ok()?
            .get("error")?
            .get("code")?
            .as_i64()
    }
}

/// A JSON-RPC request.
pub fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params }).to_string()
}

/// A JSON-RPC notification.
pub fn notification(method: &str) -> String {
    json!({ "jsonrpc": "2.0", "method": method }).to_string()
}

/// A call of a tool.
pub fn tool(id: impl Into<Value>, name: &str) -> String {
    request(id, "tools/call", json!({ "name": name, "arguments": {} }))
}

/// A request for the list of tools.
pub fn list(id: impl Into<Value>) -> String {
    request(id, "tools/list", json!({}))
}

/// A request of MCP 2026-07-28, whose `_meta` carries the version.
pub fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> String {
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": MODERN });
    request(id, method, params)
}

/// The opening of a legacy session.
pub fn initialize() -> String {
    let params = json!({
        "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": { "name": "e2e", "version": "1.0.0" },
    });
    request(1, "initialize", params)
}

fn name(name: &str) -> HeaderName {
    name.parse()
        .unwrap_or_else(|_| panic!("{name:?} is not a header name"))
}

fn value(value: &str) -> HeaderValue {
    value
        .parse()
        .unwrap_or_else(|_| panic!("{value:?} is not a header value"))
}
