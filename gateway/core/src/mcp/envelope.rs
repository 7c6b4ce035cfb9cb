//! The strict envelope: one JSON-RPC request, notification or response, and the method it calls.
//!
//! Policy, sessions and the check of mirrored headers all use this one reading of the body, and the upstream gets the same bytes.
//! So a body that two readers could read differently is refused (MCP transports; JSON-RPC 2.0 §4, §5).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::member::{self, invalid};
pub use super::member::{MAX_NAME, has_control};
use super::method::{McpMethod, Mirror};
use super::references;
use super::tasks::{self, TaskUse};
use super::version::META_KEY;
use crate::json::names::look_alike;
use crate::json::{self, JsonError, JsonLimits, OutlineValue};
use crate::mcp::operation::Reference;
use crate::refusal::{fault::Fault, reason::Reason};

/// The objects of a message that are read in the same walk that checks it: `params` and some of its members.
const READ: [&str; 4] = ["params", "_meta", "notifications", "ref"];

const NOT_A_VERSION: &str = "io.modelcontextprotocol/protocolVersion is not a string";

/// The three kinds of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A method and an id: it requires an answer.
    Request,
    /// A method without an id: no answer.
    Notification,
    /// A result or an error: the answer to a request of the server. Legacy only.
    Response,
}

/// One message, borrowing from the body it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    kind: MessageKind,
    id: Option<RequestId>,
    method: Option<Cow<'a, str>>,
    called: Option<McpMethod>,
    name: Option<Cow<'a, str>>,
    meta_version: Option<Cow<'a, str>>,
    proposed_version: Option<Cow<'a, str>>,
    arguments: Option<&'a [u8]>,
    references: Vec<Reference>,
    task_use: TaskUse,
    continues: bool,
}

/// Why a body is not a valid message, with the id of the request if it could be read: clients match errors to requests by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong.
    pub fault: Fault,
    /// The id, where it could be read.
    pub id: Option<RequestId>,
}

impl<'a> Envelope<'a> {
    /// Reads a whole body.
    ///
    /// # Errors
    /// [`Reason::ParseError`] if it is not one JSON document, [`Reason::JsonLimit`] beyond a limit, [`Reason::AmbiguousJson`] for repeated
    /// or look-alike member names, [`Reason::AmbiguousName`] for control characters in a name, [`Reason::InvalidRequest`] if it is not one message (batches included), and
    /// [`Reason::VersionMissing`] if the protocol version in `_meta` is not a string.
    pub fn read(body: &'a [u8], limits: &JsonLimits) -> Result<Self, Unreadable> {
        let read = json::members(body, limits, &READ).map_err(|error| Unreadable {
            fault: unreadable(error, limits),
            id: None,
        })?;
        // A message that is refused for a member name or a limit still has a readable id.
        let message = read.object();
        let envelope = match (read.flaw, message) {
            (Some(flaw), _) => Err(unreadable(flaw, limits)),
            (None, None) => Err(invalid(match body.trim_ascii_start() {
                [b'[', ..] => "a JSON array (a batch); expected: one message",
                _ => "the message is not an object",
            })),
            (None, Some(message)) => Self::of(message),
        };
        envelope.map_err(|fault| Unreadable {
            fault,
            id: message.and_then(sole_id),
        })
    }

    /// Request, notification or response.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The id of a request, or of the request that a response answers.
    pub const fn id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// The method. A response has none.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The row of the method.
    pub const fn called(&self) -> Option<McpMethod> {
        self.called
    }

    /// What the method acts on, where policy rules can name it: the name of a tool or prompt, the URI of a resource, the id of a
    /// task.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The protocol version in `_meta` (MCP 2026-07-28).
    pub fn meta_version(&self) -> Option<&str> {
        self.meta_version.as_deref()
    }

    /// The protocol version that an `initialize` proposes, if it is a string.
    pub fn proposed_version(&self) -> Option<&str> {
        self.proposed_version.as_deref()
    }

    /// The arguments of a tool or prompt, as the client sent them: a raw JSON value.
    pub const fn arguments(&self) -> Option<&'a [u8]> {
        self.arguments
    }

    /// What the message uses in addition to its name.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The same, moved out of the envelope.
    pub(crate) fn take_references(&mut self) -> Vec<Reference> {
        std::mem::take(&mut self.references)
    }

    /// How it uses tasks, in addition to its method.
    pub const fn task_use(&self) -> TaskUse {
        self.task_use
    }

    /// Whether it continues a call with answers of the user's, or with a state of the server's (MCP 2026-07-28).
    pub const fn continues(&self) -> bool {
        self.continues
    }

    fn of(message: OutlineValue<'_, 'a>) -> Result<Self, Fault> {
        if look_alike::ambiguous_members(
            message,
            &["jsonrpc", "id", "method", "params", "result", "error"],
        ) {
            return Err(member::confusing("the message"));
        }
        if text(message, "jsonrpc")?.as_deref() != Some("2.0") {
            return Err(invalid("jsonrpc is not \"2.0\""));
        }
        let id = message.get("id").map(|id| RequestId::of(id.json()));
        let id = id.transpose()?;
        let method = text(message, "method")?;
        let method = method.map(member::plain_method).transpose()?;
        let kind = kind(message, method.is_some(), id.is_some())?;
        let called = method.as_deref().map(McpMethod::of);
        let params = member::object(message, "params", references::members(called))?;
        let (name, meta_version) = match params {
            Some(params) => (name(params, called)?, meta_version(params)?),
            None => (None, None),
        };
        if name.is_none()
            && let Some((method, target)) = called.and_then(with_target)
            && !(meta_version.is_some() && passes_nameless(method, target, params))
        {
            return Err(invalid(format!("params has no {target}")));
        }
        let proposed_version = match params {
            Some(params) if called.is_some_and(McpMethod::opens_session) => {
                let proposed = params.get("protocolVersion");
                proposed.and_then(|proposed| proposed.text())
            }
            _ => None,
        };
        let arguments = params.and_then(|params| references::arguments(params, called));
        let references = references::references(params, called)?;
        let task_use = match params {
            Some(params) => tasks::used(params, called)?,
            None => TaskUse::None,
        };
        let continues = params.is_some_and(|params| {
            ["inputResponses", "requestState"]
                .iter()
                .any(|name| params.given(name).is_some())
        });
        Ok(Self {
            kind,
            id,
            method,
            called,
            name,
            meta_version,
            proposed_version,
            arguments,
            references,
            task_use,
            continues,
        })
    }
}

/// The id of a request: a string or an integer. It is stored as the JSON text of the client and returned unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The longest id that is accepted, in bytes of JSON.
    pub const MAX_BYTES: usize = 1024;

    /// The id as JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id of a message.
    fn of(json: &str) -> Result<Self, Fault> {
        if json.len() > Self::MAX_BYTES {
            return Err(member::too_long("the id", json.len(), Self::MAX_BYTES));
        }
        Self::read(json).ok_or_else(|| invalid("the id is neither a string nor a whole number"))
    }

    /// From a raw JSON value: a string of Unicode text, or an integer of 64 bits without fraction or exponent (MCP basic,
    /// *Requests*: string or integer, never null).
    pub(crate) fn read(json: &str) -> Option<Self> {
        let is_usable = json.len() <= Self::MAX_BYTES
            && match json.starts_with('"') {
                true => json::string(json.as_bytes()).is_some(),
                false => json.parse::<i64>().is_ok(),
            };
        is_usable.then(|| Self(json.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_json())
    }
}

fn unreadable(error: JsonError, limits: &JsonLimits) -> Fault {
    let reason = match error {
        JsonError::Duplicate | JsonError::NameNotText => Reason::AmbiguousJson,
        JsonError::Syntax | JsonError::NotUtf8 => Reason::ParseError,
        JsonError::TooDeep
        | JsonError::TooManyMembers
        | JsonError::TooManyValues
        | JsonError::EscapedNames => Reason::JsonLimit,
    };
    let detail = limits.explain(error, json::CONFIGURED);
    match reason {
        Reason::JsonLimit => Fault::limit(reason, detail),
        _ => Fault::new(reason, detail),
    }
}

/// The id of a refused message, unless the message has more than one.
fn sole_id(message: OutlineValue<'_, '_>) -> Option<RequestId> {
    let mut ids = message.members().filter(|(name, _)| *name == "id");
    match (ids.next(), ids.next()) {
        (Some((_, id)), None) => RequestId::read(id.json()),
        _ => None,
    }
}

/// JSON-RPC 2.0 §4 and §5: a method, or else a result or an error. An error may have no id.
fn kind(
    message: OutlineValue<'_, '_>,
    has_method: bool,
    has_id: bool,
) -> Result<MessageKind, Fault> {
    let has = |name| message.get(name).is_some();
    match (has_method, has("result"), has("error"), has_id) {
        (true, false, false, true) => Ok(MessageKind::Request),
        (true, false, false, false) => Ok(MessageKind::Notification),
        (false, true, false, true) | (false, false, true, _) => Ok(MessageKind::Response),
        (false, false, false, _) => Err(invalid("it has no method, no result and no error")),
        (false, true, false, false) => Err(invalid("it has a result, but no id")),
        _ => Err(invalid("it has more than one of method, result and error")),
    }
}

/// A member that must be a string if it is present.
fn text<'a>(object: OutlineValue<'_, 'a>, member: &str) -> Result<Option<Cow<'a, str>>, Fault> {
    let value = object.get(member);
    let text = value.map(|value| value.text().ok_or_else(|| member::not_text(member)));
    text.transpose()
}

/// A method that acts on something named, and the member of `params` that names it.
fn with_target(method: McpMethod) -> Option<(McpMethod, &'static str)> {
    Some((method, method.target()?))
}

fn name<'a>(
    params: OutlineValue<'_, 'a>,
    method: Option<McpMethod>,
) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(target) = method.and_then(McpMethod::target) else {
        return Ok(None);
    };
    match text(params, target)? {
        Some(name) if name.len() > MAX_NAME => Err(member::too_long(target, name.len(), MAX_NAME)),
        name => name.map(member::plain_name).transpose(),
    }
}

/// Whether a modern request without a name is forwarded: its method no longer exists in the modern era, so the upstream answers
/// it (404, -32601), and no member of it looks like the name.
fn passes_nameless(method: McpMethod, target: &str, params: Option<OutlineValue<'_, '_>>) -> bool {
    method.mirror() == Mirror::IfPresent
        && params.is_none_or(|params| !look_alike::any_like(params, &[target]))
}

fn meta_version<'a>(params: OutlineValue<'_, 'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(meta) = member::object(params, "_meta", &[META_KEY])? else {
        return Ok(None);
    };
    let version = meta.given(META_KEY).map(|version| version.text());
    version
        .map(|text| text.ok_or_else(|| Fault::new(Reason::VersionMissing, NOT_A_VERSION)))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Envelope<'_>, Unreadable> {
        Envelope::read(body.as_bytes(), &JsonLimits::default())
    }

    fn refused(body: &[u8]) -> (Reason, Option<String>) {
        let unreadable = Envelope::read(body, &JsonLimits::default()).unwrap_err();
        let id = unreadable.id.map(|id| id.to_string());
        (unreadable.fault.reason, id)
    }

    /// kind, id, method, name
    type Seen<'a> = (
        MessageKind,
        Option<&'a str>,
        Option<&'a str>,
        Option<&'a str>,
    );

    #[test]
    fn a_message_is_read() {
        use MessageKind::{Notification, Request, Response};
        let cases: &[(&str, Seen<'_>)] = &[
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
                (Request, Some("1"), Some("ping"), None),
            ),
            (
                r#"{"method":"ping","id":"a","jsonrpc":"2.0"}"#,
                (Request, Some("\"a\""), Some("ping"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":"\u0061\"","method":"ping"}"#,
                (Request, Some(r#""\u0061\"""#), Some("ping"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":-0,"method":"ping"}"#,
                (Request, Some("-0"), Some("ping"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":"","method":"ping"}"#,
                (Request, Some("\"\""), Some("ping"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"p\u0069ng"}"#,
                (Request, Some("1"), Some("ping"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                (Notification, None, Some("notifications/initialized"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
                (Response, Some("7"), None, None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}"#,
                (Response, Some("7"), None, None),
            ),
            (
                r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"no"}}"#,
                (Response, None, None, None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#,
                (Request, Some("1"), Some("tools/call"), Some("add")),
            ),
            (
                r#"{"jsonrpc":"2.0","params":{"arguments":{},"name":"\u0061dd"},"method":"tools/call"}"#,
                (Notification, None, Some("tools/call"), Some("add")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}}"#,
                (Request, Some("1"), Some("prompts/get"), Some("p")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a://b","name":"n"}}"#,
                (Request, Some("1"), Some("resources/read"), Some("a://b")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"u"}}"#,
                (Request, Some("1"), Some("resources/subscribe"), Some("u")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                (Request, Some("1"), Some("resources/subscribe"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/unsubscribe","params":{"uri":"u"}}"#,
                (Request, Some("1"), Some("resources/unsubscribe"), Some("u")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t"}}"#,
                (Request, Some("1"), Some("tasks/get"), Some("t")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tasks/result","params":{"taskId":"t"}}"#,
                (Request, Some("1"), Some("tasks/result"), Some("t")),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"unread","uri":1}}"#,
                (Request, Some("1"), Some("tools/list"), None),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"x/y","params":{"Name":1},"extra":[1]}"#,
                (Request, Some("1"), Some("x/y"), None),
            ),
        ];
        for (body, expected) in cases {
            let envelope = read(body).unwrap_or_else(|error| panic!("{body}: {error:?}"));
            let seen = (
                envelope.kind(),
                envelope.id().map(RequestId::as_json),
                envelope.method(),
                envelope.name(),
            );
            assert_eq!(seen, *expected, "{body}");
        }
    }

    #[test]
    fn a_name_with_a_control_character_is_refused() {
        let message = |method: &str, params: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
        };
        for control in [r"\u0000", r"\n", r"\u007f", r"\u0085", r"\u2028", r"\u202e"] {
            for (method, params) in [
                (format!("tools/call{control}"), r#"{"name":"a"}"#.to_owned()),
                (
                    "tools/call".to_owned(),
                    format!(r#"{{"name":"a{control}"}}"#),
                ),
                (
                    "prompts/get".to_owned(),
                    format!(r#"{{"name":"{control}a"}}"#),
                ),
                (
                    "resources/read".to_owned(),
                    format!(r#"{{"uri":"a://b{control}"}}"#),
                ),
                (
                    "resources/subscribe".to_owned(),
                    format!(r#"{{"uri":"a://b{control}"}}"#),
                ),
                (
                    "tasks/get".to_owned(),
                    format!(r#"{{"taskId":"{control}"}}"#),
                ),
                (
                    "subscriptions/listen".to_owned(),
                    format!(r#"{{"notifications":{{"resourceSubscriptions":["a://{control}"]}}}}"#),
                ),
                (
                    "completion/complete".to_owned(),
                    format!(r#"{{"ref":{{"type":"ref/resource","uri":"a://{control}"}}}}"#),
                ),
                (
                    "completion/complete".to_owned(),
                    format!(r#"{{"ref":{{"type":"ref/prompt","name":"a{control}"}}}}"#),
                ),
            ] {
                let body = message(&method, &params);
                let expected = (Reason::AmbiguousName, Some("1".to_owned()));
                assert_eq!(refused(body.as_bytes()), expected, "{body}");
            }
        }
        for name in ["gr\u{f6}\u{df}e", "\u{524a}\u{9664}", "two words", " a "] {
            let body = message("tools/call", &format!(r#"{{"name":"{name}"}}"#));
            assert_eq!(read(&body).unwrap().name(), Some(name));
        }
    }

    #[test]
    fn a_method_with_white_space_is_refused() {
        for method in [
            "tools/call ",
            " tools/call",
            "tools/ call",
            r"tools/call\u00a0",
            r"\ufefftools/call",
            r"resources/read\u3000",
            " ",
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
            let expected = (Reason::AmbiguousName, Some("1".to_owned()));
            assert_eq!(refused(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn the_version_in_meta_is_read() {
        let meta = |meta: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{meta}}}}}"#)
        };
        assert_eq!(
            read(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#)
                .unwrap()
                .meta_version(),
            None
        );
        assert_eq!(read(&meta("{}")).unwrap().meta_version(), None);
        assert_eq!(
            read(&meta(r#"{"progressToken":1}"#))
                .unwrap()
                .meta_version(),
            None
        );
        let versioned =
            meta(r#"{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#);
        assert_eq!(read(&versioned).unwrap().meta_version(), Some("2026-07-28"));
        for absent in [
            meta("null"),
            meta(r#"{"io.modelcontextprotocol/protocolVersion":null}"#),
        ] {
            assert_eq!(read(&absent).unwrap().meta_version(), None, "{absent}");
        }
        for value in ["1", "{}", r#""\ud800""#] {
            let body = meta(&format!(
                r#"{{"io.modelcontextprotocol/protocolVersion":{value}}}"#
            ));
            assert_eq!(
                refused(body.as_bytes()),
                (Reason::VersionMissing, Some("1".into())),
                "{value}"
            );
        }
    }

    /// Generated clients write null for what they leave out.
    #[test]
    fn an_optional_member_that_is_null_is_absent() {
        for (body, like) in [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{},"params":null}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":null,"_meta":{"progressToken":null}}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":null,"task":null,"_meta":null}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"resourceSubscriptions":null,"taskIds":null}}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"#,
            ),
        ] {
            assert_eq!(read(body), read(like), "{body}");
            assert!(read(body).is_ok(), "{body}");
        }
    }

    #[test]
    fn names_without_escapes_are_borrowed() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
        let envelope = read(body).unwrap();
        assert!(matches!(envelope.method, Some(Cow::Borrowed("tools/call"))));
        assert!(matches!(envelope.name, Some(Cow::Borrowed("add"))));
    }

    #[test]
    fn a_body_that_is_not_one_json_document_is_a_parse_error_without_id() {
        let utf16: Vec<u8> = r#"{"id":1}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: &[(&str, &[u8])] = &[
            ("empty", b""),
            ("truncated", br#"{"jsonrpc":"2.0","id":1,"method":"ping""#),
            ("byte order mark", b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"),
            ("UTF-16", &utf16),
            ("invalid UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xff\"}"),
            ("two documents", br#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}"#),
            ("trailing bytes", br#"{"jsonrpc":"2.0","id":1,"method":"ping"}x"#),
            ("NaN", br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}"#),
        ];
        for (name, body) in cases {
            assert_eq!(refused(body), (Reason::ParseError, None), "{name}");
        }
    }

    #[test]
    fn a_message_beyond_a_limit_names_the_limit_and_keeps_its_id() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{}{}}}"#,
            "[".repeat(64),
            "]".repeat(64)
        );
        let many: Vec<String> = (0..10_001).map(|n| format!("\"m{n}\":0")).collect();
        let many = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{{}}}}}"#,
            many.join(",")
        );
        let name = "n".repeat(MAX_NAME + 1);
        let named = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"}}}}"#
        );
        let id = "i".repeat(RequestId::MAX_BYTES);
        let identified = format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"ping"}}"#);
        let (json, message) = (Reason::JsonLimit, Reason::InvalidRequest);
        for (body, id, reason, detail) in [
            (
                deep,
                Some("1"),
                json,
                "more than 64 objects and arrays in one another (limits.json_depth)",
            ),
            (
                many,
                Some("1"),
                json,
                "more than 10000 members and elements (limits.json_members)",
            ),
            (
                named,
                Some("1"),
                message,
                "name has 8193 bytes, more than 8192 (a fixed limit)",
            ),
            (
                identified,
                None,
                message,
                "the id has 1026 bytes, more than 1024 (a fixed limit)",
            ),
        ] {
            let unreadable = read(&body).unwrap_err();
            assert_eq!(unreadable.fault, Fault::limit(reason, detail));
            assert_eq!(
                unreadable.id.as_ref().map(RequestId::as_json),
                id,
                "{detail}"
            );
        }
    }

    #[test]
    fn the_operator_learns_what_is_wrong_with_a_message() {
        for (body, detail) in [
            ("[]", "a JSON array (a batch); expected: one message"),
            (r#"{"jsonrpc":"1.0"}"#, "jsonrpc is not \"2.0\""),
            (
                r#"{"jsonrpc":null}"#,
                "jsonrpc is not a string of Unicode text",
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                "the id is neither a string nor a whole number",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1}"#,
                "it has no method, no result and no error",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
                "params is not an object",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
                "params has no name",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
                "params has member names that readers confuse",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\u0000"}}"#,
                "a name has the character U+0000",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":1}"#,
                "an object repeats a member name",
            ),
            ("{", "not one JSON document"),
        ] {
            assert_eq!(read(body).unwrap_err().fault.detail, detail, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_not_one_message_is_an_invalid_request() {
        let cases = [
            (
                "batch",
                r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
                None,
            ),
            ("empty batch", "[]", None),
            ("string", r#""ping""#, None),
            ("null", "null", None),
            ("empty object", "{}", None),
            ("no jsonrpc", r#"{"id":1,"method":"ping"}"#, Some("1")),
            (
                "jsonrpc 1.0",
                r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
                Some("1"),
            ),
            (
                "jsonrpc as number",
                r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
                Some("1"),
            ),
            (
                "id null",
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                None,
            ),
            (
                "id bool",
                r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
                None,
            ),
            (
                "id fraction",
                r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#,
                None,
            ),
            (
                "id exponent",
                r#"{"jsonrpc":"2.0","id":1e0,"method":"ping"}"#,
                None,
            ),
            (
                "id object",
                r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
                None,
            ),
            (
                "id array",
                r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
                None,
            ),
            (
                "id beyond 64 bits",
                r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}"#,
                None,
            ),
            (
                "id half a pair",
                r#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#,
                None,
            ),
            (
                "neither method nor result",
                r#"{"jsonrpc":"2.0","id":1}"#,
                Some("1"),
            ),
            (
                "method and result",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
                Some("1"),
            ),
            (
                "method and error",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#,
                Some("1"),
            ),
            (
                "result and error",
                r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
                Some("1"),
            ),
            (
                "result without id",
                r#"{"jsonrpc":"2.0","result":{}}"#,
                None,
            ),
            (
                "response with id null",
                r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
                None,
            ),
            (
                "method null",
                r#"{"jsonrpc":"2.0","id":1,"method":null}"#,
                Some("1"),
            ),
            (
                "method as number",
                r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
                Some("1"),
            ),
            (
                "method half a pair",
                r#"{"jsonrpc":"2.0","id":1,"method":"\udc00"}"#,
                Some("1"),
            ),
            (
                "params array",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
                Some("1"),
            ),
            (
                "jsonrpc null",
                r#"{"jsonrpc":null,"id":1,"method":"ping"}"#,
                Some("1"),
            ),
            (
                "method null next to a result",
                r#"{"jsonrpc":"2.0","id":1,"method":null,"result":{}}"#,
                Some("1"),
            ),
            (
                "result null next to a method",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":null}"#,
                Some("1"),
            ),
            (
                "error null next to a result",
                r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#,
                Some("1"),
            ),
            (
                "call with params null",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#,
                Some("1"),
            ),
            (
                "name null",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":null}}"#,
                Some("1"),
            ),
            (
                "_meta array",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}"#,
                Some("1"),
            ),
            (
                "call without params",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
                Some("1"),
            ),
            (
                "call without name",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
                Some("1"),
            ),
            (
                "name in other case",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"a"}}"#,
                Some("1"),
            ),
            (
                "name as array",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["a"]}}"#,
                Some("1"),
            ),
            (
                "name half a pair",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}"#,
                Some("1"),
            ),
            (
                "read without uri",
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"name":"a"}}"#,
                Some("1"),
            ),
            (
                "subscribe without uri",
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe"}"#,
                Some("1"),
            ),
            (
                "modern subscribe with something like a uri",
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"URI":"u","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                Some("1"),
            ),
            (
                "modern subscribe with a uri that is not a string",
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":null,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                Some("1"),
            ),
            (
                "modern read without uri",
                r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                Some("1"),
            ),
            (
                "task without id",
                r#"{"jsonrpc":"2.0","id":"t","method":"tasks/cancel","params":{"taskid":"a"}}"#,
                Some("\"t\""),
            ),
        ];
        for (name, body, id) in cases {
            assert_eq!(
                refused(body.as_bytes()),
                (Reason::InvalidRequest, id.map(str::to_owned)),
                "{name}"
            );
        }
    }

    #[test]
    fn ambiguous_names_are_refused_with_the_id_where_that_is_not_ambiguous() {
        let cases = [
            (
                "method twice",
                r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
                Some("1"),
            ),
            (
                "id twice",
                r#"{"jsonrpc":"2.0","id":1,"method":"a","id":2}"#,
                None,
            ),
            (
                "id escaped twice",
                r#"{"jsonrpc":"2.0","id":1,"method":"a","\u0069d":2}"#,
                None,
            ),
            (
                "twice in arguments",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":1,"y":2}]}}}"#,
                Some("1"),
            ),
            (
                "name twice",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}"#,
                Some("1"),
            ),
            (
                "Method next to method",
                r#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#,
                Some("1"),
            ),
            (
                "Method alone",
                r#"{"jsonrpc":"2.0","id":1,"Method":"a"}"#,
                Some("1"),
            ),
            (
                "Method on a response",
                r#"{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call"}"#,
                Some("1"),
            ),
            (
                "Params",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"Params":{"name":"b"}}"#,
                Some("1"),
            ),
            (
                "long s in params",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"paramſ":{}}"#,
                Some("1"),
            ),
            (
                "unknown pair",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","x":1,"X":2}"#,
                Some("1"),
            ),
            (
                "Name next to name",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
                Some("1"),
            ),
            (
                "name with NUL",
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name\u0000":"b"}}"#,
                Some("1"),
            ),
            (
                "Kelvin in taskId",
                r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"a","tas\u212aId":"b"}}"#,
                Some("1"),
            ),
            (
                "_Meta alone",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_Meta":{}}}"#,
                Some("1"),
            ),
            (
                "pair in _meta",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"a":1,"A":2}}}"#,
                Some("1"),
            ),
            (
                "version look-alike",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolversion":"2026-07-28"}}}"#,
                Some("1"),
            ),
            (
                "name that is not Unicode text",
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"\ud800":1}}"#,
                Some("1"),
            ),
        ];
        for (name, body, id) in cases {
            assert_eq!(
                refused(body.as_bytes()),
                (Reason::AmbiguousJson, id.map(str::to_owned)),
                "{name}"
            );
        }
    }

    #[test]
    fn look_alike_names_are_allowed_in_objects_that_are_not_read() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"path":1,"PATH":2,"path\u0000":3}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"a":{"b":1,"B":2}},"n":1e999,"s":"\ud800"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"A":2}}"#,
        ] {
            assert!(read(body).is_ok(), "{body}");
        }
    }

    #[test]
    fn a_name_longer_than_the_limit_is_refused() {
        for (method, member) in [
            ("tools/call", "name"),
            ("prompts/get", "name"),
            ("resources/read", "uri"),
            ("resources/subscribe", "uri"),
            ("tasks/cancel", "taskId"),
        ] {
            // An escape counts as the character it encodes.
            let body = |length| {
                format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"{member}":"\u0078{}"}}}}"#,
                    "x".repeat(length - 1)
                )
            };
            assert!(read(&body(MAX_NAME)).is_ok(), "{method}");
            assert_eq!(
                refused(body(MAX_NAME + 1).as_bytes()),
                (Reason::InvalidRequest, Some("1".into())),
                "{method}"
            );
        }
    }

    #[test]
    fn the_proposed_version_is_read_only_from_initialize() {
        let proposed = |method: &str, version: &str| {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"protocolVersion":{version}}}}}"#
            );
            let envelope = read(&body).unwrap();
            envelope.proposed_version().map(str::to_owned)
        };
        assert_eq!(
            proposed("initialize", r#""2025-06-18""#).as_deref(),
            Some("2025-06-18")
        );
        assert_eq!(proposed("initialize", "1"), None);
        assert_eq!(proposed("ping", r#""2025-06-18""#), None);
    }

    #[test]
    fn an_id_longer_than_the_limit_is_refused() {
        let body = |length| {
            format!(
                r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
                "x".repeat(length)
            )
        };
        assert!(read(&body(RequestId::MAX_BYTES - 2)).is_ok());
        assert_eq!(
            refused(body(RequestId::MAX_BYTES - 1).as_bytes()),
            (Reason::InvalidRequest, None)
        );
    }
}
