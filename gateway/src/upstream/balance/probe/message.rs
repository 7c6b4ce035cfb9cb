//! The messages of a health check, and how one is sent.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use http_body_util::Full;
use mcp_gateway_core::mcp::{
    headers::{METHOD, PROTOCOL_VERSION, SESSION_ID},
    method::McpMethod,
    supported::FIRST_MODERN,
    version::LEGACY,
};
use serde_json::{Value, json};

use crate::upstream::{body::UpstreamBody, endpoint::Endpoint, error::SendError};

/// A message of a check.
#[derive(Debug)]
pub(super) struct Message {
    method: Method,
    /// None: that of the endpoint.
    target: Option<Uri>,
    headers: HeaderMap,
    body: Bytes,
}

impl Message {
    /// A GET request of this path, or of the endpoint's own.
    pub(super) fn get(path: Option<Uri>) -> Self {
        Self {
            target: path,
            ..Self::bodiless(Method::GET)
        }
    }

    /// A question that servers of the modern era answer.
    pub(super) fn discover() -> Self {
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
        let mut message = Self::mcp(&body);
        message
            .headers
            .insert(METHOD, HeaderValue::from_static(method));
        message.of_version(Some(FIRST_MODERN))
    }

    /// Opens a session of the legacy era. It has no version header: the version is agreed on by it.
    pub(super) fn initialize() -> Self {
        let version = LEGACY.last().copied().unwrap_or_default();
        Self::mcp(&json!({
            "jsonrpc": "2.0",
            "id": 1,
            "method": McpMethod::Initialize.name(),
            "params": { "protocolVersion": version, "capabilities": {}, "clientInfo": client() },
        }))
    }

    /// What follows the answer to [`initialize`](Self::initialize).
    pub(super) fn initialized() -> Self {
        Self::mcp(&json!({ "jsonrpc": "2.0", "method": McpMethod::Initialized.name() }))
    }

    /// The check within a session.
    pub(super) fn ping() -> Self {
        Self::mcp(&json!({ "jsonrpc": "2.0", "id": 1, "method": McpMethod::Ping.name() }))
    }

    /// Closes a session (MCP 2025-11-25, Streamable HTTP, *Session Management*).
    pub(super) fn delete() -> Self {
        Self::bodiless(Method::DELETE)
    }

    fn mcp(body: &Value) -> Self {
        let mut message = Self {
            body: Bytes::from(body.to_string()),
            ..Self::bodiless(Method::POST)
        };
        let fixed = [
            (CONTENT_TYPE, "application/json"),
            (ACCEPT, "application/json, text/event-stream"),
        ];
        for (name, value) in fixed {
            let value = HeaderValue::from_static(value);
            message.headers.insert(name, value);
        }
        message
    }

    fn bodiless(method: Method) -> Self {
        Self {
            method,
            target: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// The same in the session with this id.
    pub(super) fn in_session(mut self, id: Option<&HeaderValue>) -> Self {
        if let Some(id) = id {
            self.headers.insert(SESSION_ID, id.clone());
        }
        self
    }

    /// The same with this protocol version.
    pub(super) fn of_version(mut self, version: Option<&'static str>) -> Self {
        if let Some(version) = version {
            let version = HeaderValue::from_static(version);
            self.headers.insert(PROTOCOL_VERSION, version);
        }
        self
    }

    /// Sends it, once more if a kept connection was closed. Returns the answer after its head.
    ///
    /// # Errors
    /// No head came: why.
    pub(super) async fn send(&self, endpoint: &Endpoint) -> Result<Response<UpstreamBody>, String> {
        let first = endpoint.send(self.request(endpoint)).await;
        let answer = match first {
            Err(SendError::Closed { before, .. }) => {
                endpoint.send_again(self.request(endpoint), before).await
            }
            first => first,
        };
        answer.map_err(|error| error.to_string())
    }

    fn request(&self, endpoint: &Endpoint) -> Request<Full<Bytes>> {
        let own = || endpoint.target(endpoint.query());
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone().unwrap_or_else(own);
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(HOST, endpoint.host().clone());
        request
    }
}

fn client() -> Value {
    json!({ "name": "mcp-gateway-health-check", "version": env!("CARGO_PKG_VERSION") })
}
