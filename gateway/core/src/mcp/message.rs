//! One message on its way from a client to an upstream: read once, then owned.
//!
//! Policy, rate limits, sealing, the logs and the request to the upstream all use this one value. Its texts are stored once and
//! shared. Its body and arguments are the bytes that the client sent.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};

use super::envelope::{Envelope, RequestId, Unreadable};
use super::headers;
use super::method::McpMethod;
use super::supported::Asked;
use super::tasks::TaskUse;
use super::version::{self, Era};
use crate::json::JsonLimits;
use crate::mcp::operation::{Operation, Reference};
use crate::refusal::reason::Reason;

/// What a client requests, and the bytes that it sent.
pub struct Message {
    /// Its era.
    pub era: Era,
    /// Its id. GET, DELETE and notifications have none.
    pub id: Option<RequestId>,
    /// Its method. GET, DELETE and legacy responses have none.
    pub method: Option<MethodName>,
    /// What the method acts on: a tool, a prompt, a resource URI, a task.
    pub name: Option<Arc<str>>,
    /// What it uses in addition to its name.
    pub references: Vec<Reference>,
    /// The arguments of a tool or prompt: a slice of the body.
    pub arguments: Option<Bytes>,
    /// Names of headers that mirror arguments, without an argument of that name.
    pub params_without_argument: Vec<Box<str>>,
    /// The protocol version from the message or its header.
    pub version: Option<Cow<'static, str>>,
    /// The protocol version that an `initialize` proposes, if it is a string.
    pub proposed_version: Option<Box<str>>,
    /// How it uses tasks, in addition to its method.
    pub task_use: TaskUse,
    /// It continues a call with answers of the user's, or with a state of the server's (MCP 2026-07-28).
    pub continues: bool,
    /// The bytes for the upstream: those of the client, with sealed values replaced by the upstream's. GET and DELETE have none.
    pub body: Option<Bytes>,
    /// `Mcp-Name` for the upstream, if it differs from the client's.
    pub mirror: Option<HeaderValue>,
    /// Whether the answer is a stream that only listens: it does not end by itself.
    pub listens: bool,
}

impl Message {
    /// Reads the whole body of a POST and compares it with its headers.
    ///
    /// # Errors
    /// Those of [`Envelope::read`] and [`headers::agree`], with the id of the request if it could be read.
    pub fn read(
        body: &Bytes,
        headers: &HeaderMap,
        limits: &JsonLimits,
    ) -> Result<Self, Unreadable> {
        let envelope = Envelope::read(body, limits)?;
        let agreed = headers::agree_with_version(&envelope, headers).and_then(|(era, version)| {
            let params = match era {
                Era::Legacy => Vec::new(),
                Era::Modern => headers::params_without_argument(&envelope, headers)?,
            };
            Ok((era, version, params))
        });
        match agreed {
            Ok((era, version, params)) => Ok(Self::of(envelope, era, body, version, params)),
            Err(reason) => Err(Unreadable {
                fault: reason.into(),
                id: envelope.id().cloned(),
            }),
        }
    }

    /// Reads the whole body of a message of HTTP+SSE. That transport has no headers that mirror the body, whatever revision the message
    /// names, so none is compared or forwarded, and the body alone decides.
    ///
    /// # Errors
    /// Those of [`Envelope::read`] and [`headers::agree_without_body`], with the id of the request if it could be read.
    pub fn read_of_http_sse(
        body: &Bytes,
        headers: &HeaderMap,
        limits: &JsonLimits,
    ) -> Result<Self, Unreadable> {
        let envelope = Envelope::read(body, limits)?;
        match headers::agree_without_body(headers) {
            Ok(_) => {
                let version = headers::version(headers);
                Ok(Self::of(envelope, Era::Legacy, body, version, Vec::new()))
            }
            Err(reason) => Err(Unreadable {
                fault: reason.into(),
                id: envelope.id().cloned(),
            }),
        }
    }

    /// A request without a body: a GET, which listens, or a DELETE.
    ///
    /// # Errors
    /// Those of [`headers::agree_without_body`].
    pub fn without_body(http_method: &http::Method, headers: &HeaderMap) -> Result<Self, Reason> {
        Ok(Self {
            era: headers::agree_without_body(headers)?,
            id: None,
            method: None,
            name: None,
            references: Vec::new(),
            arguments: None,
            params_without_argument: Vec::new(),
            version: headers::version(headers).map(version::stored),
            proposed_version: None,
            task_use: TaskUse::None,
            continues: false,
            body: None,
            mirror: None,
            listens: http_method == http::Method::GET,
        })
    }

    fn of(
        mut envelope: Envelope<'_>,
        era: Era,
        body: &Bytes,
        header_version: Option<&str>,
        params_without_argument: Vec<Box<str>>,
    ) -> Self {
        let version = envelope.meta_version().or(header_version);
        let method = envelope.method().zip(envelope.called());
        Self {
            era,
            id: envelope.id().cloned(),
            method: method.map(|(name, method)| MethodName::of(name, method)),
            name: envelope.name().map(Into::into),
            arguments: envelope.arguments().map(|raw| body.slice_ref(raw)),
            params_without_argument,
            version: version.map(version::stored),
            proposed_version: envelope.proposed_version().map(Into::into),
            task_use: envelope.task_use(),
            continues: envelope.continues(),
            body: Some(body.clone()),
            mirror: None,
            listens: envelope.called().is_some_and(McpMethod::listens),
            references: envelope.take_references(),
        }
    }

    /// What the policy decides about.
    pub fn operation(&self) -> Operation<'_> {
        Operation {
            method: self.method_name(),
            name: self.name.as_deref(),
            references: &self.references,
            arguments: self.arguments.as_deref(),
            params_without_argument: &self.params_without_argument,
            version: self.version.as_deref(),
        }
    }

    /// The row of its method.
    pub fn called(&self) -> Option<McpMethod> {
        self.method.as_ref().map(MethodName::method)
    }

    /// Its method as the client wrote it.
    pub fn method_name(&self) -> Option<&str> {
        self.method.as_ref().map(MethodName::as_str)
    }

    /// Whether this opens a legacy session.
    pub fn initializes(&self) -> bool {
        self.era == Era::Legacy && self.called().is_some_and(McpMethod::opens_session)
    }

    /// Whether this answers a request of the server. Such a message calls no method.
    pub const fn answers(&self) -> bool {
        self.body.is_some() && self.method.is_none()
    }

    /// Whether it may be sent again where it is not known if the server has processed it: it only reads, or listens, and brings
    /// the server no answer of the user's.
    pub fn may_be_repeated(&self) -> bool {
        let reads = self.listens || self.called().is_some_and(McpMethod::may_be_repeated);
        reads && !self.continues
    }

    /// How its protocol version is checked.
    pub fn asked(&self) -> Asked<'_> {
        match (&self.body, self.called()) {
            (None, _) => Asked::Bodiless,
            (Some(_), Some(McpMethod::Initialize)) => {
                Asked::Opening(self.proposed_version.as_deref())
            }
            (Some(_), _) => Asked::Message,
        }
    }
}

/// Shows no texts: they belong to the client, and unsealed values belong to the upstream.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("era", &self.era)
            .field("method", &self.called())
            .field("bytes", &self.body.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// A method as a message names it. The name is stored only if the method has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodName {
    method: McpMethod,
    /// The name, if the method has no row.
    other: Option<Arc<str>>,
}

impl MethodName {
    /// From a name and its method.
    fn of(name: &str, method: McpMethod) -> Self {
        Self {
            method,
            other: (!method.is_known()).then(|| name.into()),
        }
    }

    /// Its row.
    pub const fn method(&self) -> McpMethod {
        self.method
    }

    /// The name as the client wrote it.
    pub fn as_str(&self) -> &str {
        match &self.other {
            Some(other) => other,
            None => self.method.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::walks;

    fn read(body: &'static str) -> Result<Message, Unreadable> {
        let limits = JsonLimits::default();
        Message::read(
            &Bytes::from_static(body.as_bytes()),
            &HeaderMap::new(),
            &limits,
        )
    }

    #[test]
    fn a_message_of_http_sse_is_read_without_headers_that_mirror_it() {
        const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let body = Bytes::from_static(BODY.as_bytes());
        let read = |headers: &HeaderMap| {
            let message = Message::read_of_http_sse(&body, headers, &JsonLimits::default());
            message.map_err(|unreadable| unreadable.fault.reason)
        };
        let mut headers = HeaderMap::new();
        headers.insert(headers::NAME, HeaderValue::from_static("another"));
        headers.insert("mcp-param-x", HeaderValue::from_static("another"));
        let message = read(&headers).unwrap();
        assert_eq!(message.era, Era::Legacy);
        assert_eq!(message.name.as_deref(), Some("echo"));
        assert_eq!(message.version.as_deref(), Some("2026-07-28"));
        assert!(message.params_without_argument.is_empty());
        for version in ["2025-11-25", "2026-07-28"] {
            headers.append(headers::PROTOCOL_VERSION, version.parse().unwrap());
        }
        assert_eq!(read(&headers).err(), Some(Reason::HeaderMismatch));
    }

    #[test]
    fn a_message_has_the_values_of_its_envelope() {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\u0061dd","arguments":{"x":1}}}"#;
        let message = read(body).unwrap();
        assert_eq!(message.era, Era::Legacy);
        assert_eq!(message.id.as_ref().unwrap().as_json(), "7");
        assert_eq!(message.called(), Some(McpMethod::CallTool));
        let operation = message.operation();
        assert_eq!(operation.method, Some("tools/call"));
        assert_eq!(operation.name, Some("add"));
        assert_eq!(operation.arguments, Some(&br#"{"x":1}"#[..]));
        assert_eq!(message.body.as_deref(), Some(body.as_bytes()));
        assert!(!message.listens && !message.answers() && !message.initializes());
    }

    #[test]
    fn an_unknown_method_keeps_its_name() {
        for (method, known) in [
            ("tools/calls", false),
            ("tasks/more", false),
            ("ping", true),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
            let limits = JsonLimits::default();
            let message = Message::read(&body.into(), &HeaderMap::new(), &limits).unwrap();
            assert_eq!(message.method_name(), Some(method));
            assert_eq!(message.called().unwrap().is_known(), known);
        }
    }

    #[test]
    fn only_what_reads_or_listens_may_be_repeated() {
        for (method, expected) in [
            ("ping", true),
            ("server/discover", true),
            ("tools/list", true),
            ("resources/read", true),
            ("prompts/get", true),
            ("completion/complete", true),
            ("subscriptions/listen", true),
            ("tasks/get", true),
            ("tools/call", false),
            ("initialize", false),
            ("resources/subscribe", false),
            ("tasks/cancel", false),
            ("logging/setLevel", false),
            ("tools/list ", false),
            ("my/own", false),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
            let limits = JsonLimits::default();
            // Some of these methods need a target; the row decides.
            let row = McpMethod::of(method);
            assert_eq!(row.may_be_repeated(), expected, "{method}");
            if let Ok(message) = Message::read(&body.into(), &HeaderMap::new(), &limits) {
                assert_eq!(message.may_be_repeated(), expected, "{method}");
            }
        }
        let answer = read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).unwrap();
        let notice = read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
        assert!(!answer.may_be_repeated() && !notice.may_be_repeated());
        let bodiless = |method| Message::without_body(&method, &HeaderMap::new()).unwrap();
        assert!(bodiless(http::Method::GET).may_be_repeated());
        assert!(!bodiless(http::Method::DELETE).may_be_repeated());
    }

    #[test]
    fn what_reads_may_be_repeated_unless_it_brings_an_answer_of_the_user() {
        for (method, params, expected) in [
            ("resources/read", r#"{"uri":"a://b"}"#, true),
            (
                "resources/read",
                r#"{"uri":"a://b","inputResponses":null,"requestState":null}"#,
                true,
            ),
            (
                "resources/read",
                r#"{"uri":"a://b","inputResponses":{}}"#,
                false,
            ),
            ("prompts/get", r#"{"name":"a","requestState":"s"}"#, false),
            ("tools/list", "{}", true),
            ("tools/call", r#"{"name":"a"}"#, false),
        ] {
            let body =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            let limits = JsonLimits::default();
            let message = Message::read(&body.into(), &HeaderMap::new(), &limits).unwrap();
            assert_eq!(message.may_be_repeated(), expected, "{method} {params}");
        }
    }

    #[test]
    fn a_refused_message_keeps_its_id() {
        for (body, reason) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#,
                Reason::InvalidRequest,
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                Reason::HeaderMismatch,
            ),
        ] {
            let unreadable = read(body).unwrap_err();
            assert_eq!(unreadable.fault.reason, reason);
            assert_eq!(unreadable.id.unwrap().as_json(), "7");
        }
    }

    #[test]
    fn every_body_is_read_in_one_walk() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":{"y":[1,2]}},"_meta":{"progressToken":1}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"b"}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"taskIds":["a"]}}}"#,
        ] {
            let (walks, message) = walks::of(|| read(body));
            assert!(message.is_ok(), "{body}");
            assert_eq!(walks, 1, "{body}");
        }
    }
}
