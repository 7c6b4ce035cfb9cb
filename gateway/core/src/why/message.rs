//! Why a message is refused: the member or header, with what was found and what is expected.
//!
//! Names of members, methods, tools, prompts and resources are shown, never an argument.

use std::borrow::Cow;
use std::collections::HashMap;

use http::header::{HeaderMap, HeaderName};

use super::malformed::raw_text;
use super::request::text;
use crate::json::names::names;
use crate::json::{self, JsonError, JsonLimits, Object};
use crate::mcp::envelope::{Envelope, MAX_NAME, MessageKind, RequestId, has_control};
use crate::mcp::headers::{METHOD, NAME, PARAM_PREFIX, PROTOCOL_VERSION, decode_sentinel};
use crate::mcp::method::{McpMethod, Mirror};
use crate::mcp::version::META_KEY;
use crate::refusal::found::{Found, Listed, MAX_LISTED, Word};
use crate::refusal::reason::Reason;

/// Names that the gateway reads: another spelling of one is ambiguous.
const READ: [&str; 16] = [
    "jsonrpc",
    "id",
    "method",
    "params",
    "result",
    "error",
    "_meta",
    "name",
    "uri",
    "taskId",
    "task",
    "arguments",
    "notifications",
    "resourceSubscriptions",
    "ref",
    "requestState",
];

/// What is wrong with a message that is refused for this reason.
pub fn found(
    body: &[u8],
    headers: &HeaderMap,
    limits: &JsonLimits,
    reason: Reason,
) -> Option<String> {
    match reason {
        Reason::ParseError => syntax(body, limits),
        Reason::AmbiguousJson => Some(ambiguous(body, limits)),
        Reason::AmbiguousName => control(&json::object(body).ok()?),
        Reason::InvalidRequest => Some(invalid(body)),
        Reason::VersionMissing => version_missing(&json::object(body).ok()?, headers),
        Reason::HeaderMismatch => mismatch(&Envelope::read(body, limits).ok()?, headers),
        _ => None,
    }
}

/// The text of a member of `params`, such as an id that the gateway sealed.
pub fn param(body: &[u8], name: &str) -> Option<String> {
    let message = json::object(body).ok()?;
    let params = json::object(message.get("params")?).ok()?;
    Some(json::string(params.get(name)?)?.into_owned())
}

/// What is wrong with the headers of a GET or DELETE.
pub fn found_without_body(headers: &HeaderMap) -> Option<String> {
    compared(headers, &PROTOCOL_VERSION, None, false).or_else(|| repeated(headers))
}

fn syntax(body: &[u8], limits: &JsonLimits) -> Option<String> {
    match json::check(body, limits) {
        Err(JsonError::Syntax) if body.is_empty() => Some("the body is empty".to_owned()),
        Err(error @ JsonError::Syntax) => {
            // Its texts name a position, and nothing of the document.
            let read = serde_json::from_slice::<serde::de::IgnoredAny>(body);
            Some(match read {
                Err(position) => format!("{error}: {position}"),
                Ok(_) => format!("{error}: {} bytes", body.len()),
            })
        }
        Err(error) => Some(error.to_string()),
        Ok(()) => None,
    }
}

fn ambiguous(body: &[u8], limits: &JsonLimits) -> String {
    let names = match names(body, limits) {
        Ok(names) => names.all,
        Err(error) => return error.to_string(),
    };
    let mut seen: HashMap<(usize, String), &str> = HashMap::new();
    for (object, name) in &names {
        let Some(first) = seen.insert((*object, name.to_lowercase()), name) else {
            continue;
        };
        return match first == &**name {
            true => format!("an object has the member {} twice", Found(name)),
            false => format!(
                "the members {} and {} look alike",
                Found(first),
                Found(name)
            ),
        };
    }
    let looks_like = |name: &Cow<'_, str>| {
        let alike = |known: &&&str| known.eq_ignore_ascii_case(name) && ***known != **name;
        READ.iter().chain([&META_KEY]).find(alike).copied()
    };
    let found = names
        .iter()
        .find_map(|(_, name)| Some((name, looks_like(name)?)));
    match found {
        Some((name, known)) => format!("the member {} looks like {known}", Found(name)),
        None => "a member name has look-alike letters, or half of a surrogate pair".to_owned(),
    }
}

/// The name with a control character.
fn control(message: &Object<'_>) -> Option<String> {
    let method = message.get("method").and_then(json::string);
    let method = method.unwrap_or_default();
    if has_control(&method) {
        return Some(character("method", &method));
    }
    let params = json::object(message.get("params")?).ok()?;
    let target = McpMethod::of(&method).target();
    let named = target.and_then(|target| Some((target, json::string(params.get(target)?)?)));
    if let Some((target, name)) = named.filter(|(_, name)| has_control(name)) {
        return Some(character(&format!("params.{target}"), &name));
    }
    let inner = |name: &str| params.get(name).and_then(|raw| json::object(raw).ok());
    let completed = inner("ref").into_iter().flat_map(|object| {
        let texts = ["type", "name", "uri"]
            .into_iter()
            .filter_map(move |name| object.get(name));
        texts.collect::<Vec<_>>()
    });
    let followed = inner("notifications").into_iter().flat_map(|object| {
        let list = object.get("resourceSubscriptions").map(json::array);
        list.and_then(Result::ok).unwrap_or_default()
    });
    let mut texts = completed.chain(followed).filter_map(json::string);
    texts
        .find(|text| has_control(text))
        .map(|text| character("a name or URI in params", &text))
}

fn character(place: &str, name: &str) -> String {
    let is_one = |one: &char| has_control(one.encode_utf8(&mut [0; 4]));
    let found = name.chars().enumerate().find(|(_, one)| is_one(one));
    match found {
        Some((at, one)) => format!(
            "{place} has U+{:04X} as character {}",
            u32::from(one),
            at + 1
        ),
        None => format!("{place} has a control character"),
    }
}

/// The first rule of JSON-RPC or of the method that a body does not follow. The order is that of the checks.
fn invalid(body: &[u8]) -> String {
    let Ok(message) = json::object(body) else {
        return match body.trim_ascii_start().first() {
            Some(b'[') => "a JSON array (a batch); expected: one message".to_owned(),
            _ => "not a JSON object; expected: one JSON-RPC message".to_owned(),
        };
    };
    let id = |raw| std::str::from_utf8(raw).ok().and_then(RequestId::read);
    let has = |name: &&str| message.get(name).is_some();
    match message.get("jsonrpc") {
        None => return "no member jsonrpc; expected: \"2.0\"".to_owned(),
        Some(br#""2.0""#) => {}
        Some(raw) => return format!("jsonrpc is {}; expected: \"2.0\"", short_text(raw)),
    }
    if let Some(raw) = message.get("id").filter(|raw| id(raw).is_none()) {
        let most = RequestId::MAX_BYTES;
        return format!(
            "id is {}; accepted: text, or a whole number of 64 bits, of at most {most} bytes",
            raw_text(raw)
        );
    }
    let method = message.get("method");
    if let Some(raw) = method.filter(|raw| json::string(raw).is_none()) {
        return format!("method is {}; expected: text", raw_text(raw));
    }
    let kinds: Vec<&str> = ["method", "result", "error"]
        .into_iter()
        .filter(has)
        .collect();
    match *kinds {
        ["method" | "error"] => {}
        ["result"] if has(&"id") => {}
        ["result"] => return "a result without an id".to_owned(),
        _ => {
            return format!(
                "the message has {} of method, result and error; expected: one of them",
                Listed(kinds.iter().copied())
            );
        }
    }
    let Some(method) = method.and_then(json::string) else {
        return "a response to the server, which revisions since 2026-07-28 do not have".to_owned();
    };
    params(&message, McpMethod::of(&method), &method)
}

/// What the method requires of `params`.
fn params(message: &Object<'_>, called: McpMethod, method: &str) -> String {
    let raw = message.get("params").filter(|raw| *raw != b"null");
    let Ok(params) = raw
        .map(json::object)
        .unwrap_or_else(|| Ok(Object::default()))
    else {
        return format!(
            "params is {}; expected: an object",
            raw.map_or_else(String::new, raw_text)
        );
    };
    if let Some(target) = called.target() {
        let problem = match params.get(target) {
            None => Some("is missing".to_owned()),
            Some(raw) => match json::string(raw) {
                None => Some(format!("is {}, not text", raw_text(raw))),
                Some(name) if name.len() > MAX_NAME => {
                    Some(format!("has {} bytes; the most are {MAX_NAME}", name.len()))
                }
                Some(_) => None,
            },
        };
        if let Some(problem) = problem {
            return format!("{} needs params.{target}, which {problem}", Found(method));
        }
    }
    for name in ["_meta", "notifications", "ref", "arguments"] {
        let raw = params.get(name).filter(|raw| *raw != b"null");
        if let Some(raw) = raw.filter(|raw| json::object(raw).is_err()) {
            return format!("params.{name} is {}; expected: an object", raw_text(raw));
        }
    }
    match called {
        _ if called.completes() => format!(
            "{} needs params.ref: a ref/prompt with its name, or a ref/resource with its uri",
            Found(method)
        ),
        _ if called.listens() => {
            "params.notifications: expected lists of texts, not too many (resourceSubscriptions, taskIds)".to_owned()
        }
        _ => format!("params of {} do not follow the specification of MCP", Found(method)),
    }
}

fn version_missing(message: &Object<'_>, headers: &HeaderMap) -> Option<String> {
    let params = message.get("params").and_then(|raw| json::object(raw).ok());
    let meta = params.as_ref().and_then(|params| params.get("_meta"));
    let meta = meta.and_then(|raw| json::object(raw).ok());
    let found = match meta.as_ref().map(|meta| meta.get(META_KEY)) {
        None => "no params._meta".to_owned(),
        Some(None) => format!("params._meta has no {META_KEY}"),
        Some(Some(raw)) => format!("{META_KEY} is {}; expected: text", raw_text(raw)),
    };
    let header = super::request::fields(headers, &PROTOCOL_VERSION);
    Some(format!("{found}, with {header}"))
}

/// The first header that differs from the body.
fn mismatch(envelope: &Envelope<'_>, headers: &HeaderMap) -> Option<String> {
    let is_due = envelope.kind() == MessageKind::Request;
    let mirror = envelope.called().map_or(Mirror::Never, McpMethod::mirror);
    let version = envelope.meta_version();
    compared(
        headers,
        &PROTOCOL_VERSION,
        version,
        is_due && version.is_some(),
    )
    .or_else(|| compared(headers, &METHOD, envelope.method(), is_due))
    .or_else(|| match mirror {
        Mirror::Never => None,
        _ => compared(
            headers,
            &NAME,
            envelope.name(),
            is_due && mirror == Mirror::Required,
        ),
    })
    .or_else(|| mirrored_argument(headers))
    .or_else(|| repeated(headers))
}

/// A header and the member of the body that it mirrors, if they differ.
fn compared(
    headers: &HeaderMap,
    name: &HeaderName,
    body: Option<&str>,
    is_due: bool,
) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let expected = match body {
        Some(body) => format!("in the body: {}", shown(name, body)),
        None => "not in the body".to_owned(),
    };
    let Some(first) = values.next() else {
        return is_due.then(|| format!("no {name} header; {expected}"));
    };
    if values.any(|other| other != first) {
        let all = headers.get_all(name).iter().take(MAX_LISTED);
        let all: Vec<_> = all.map(|value| shown(name, &text(value))).collect();
        return Some(format!("{name} with different values: {}", all.join(", ")));
    }
    let decoded = match *name == NAME {
        true => decode_sentinel(first),
        false => first.to_str().ok().map(Cow::Borrowed),
    };
    let Some(decoded) = decoded else {
        return Some(format!(
            "{name} {} is not plain ASCII or correct base64",
            Word(&text(first))
        ));
    };
    let is_same = body.is_none() && *name == PROTOCOL_VERSION || body == Some(&*decoded);
    (!is_same).then(|| format!("{name}: {}; {expected}", shown(name, &decoded)))
}

/// A header that mirrors an argument. Its value is an argument, so it is not shown.
fn mirrored_argument(headers: &HeaderMap) -> Option<String> {
    let names = headers.keys().map(HeaderName::as_str);
    let names: Vec<_> = names
        .filter(|name| name.starts_with(PARAM_PREFIX))
        .collect();
    (!names.is_empty()).then(|| {
        let names = Listed(names.iter().copied());
        format!("one of these differs from the argument of its name, is repeated, or cannot be decoded: {names}")
    })
}

fn repeated(headers: &HeaderMap) -> Option<String> {
    let names = [&PROTOCOL_VERSION, &METHOD, &NAME];
    let count = |name: &HeaderName| headers.get_all(name).iter().count();
    let name = names.into_iter().find(|name| count(name) > 1)?;
    Some(format!("{} {name} headers", count(name)))
}

/// A name as in every log line. A long text in place of a version or a method may be a secret.
fn shown(header: &HeaderName, value: &str) -> String {
    match *header == NAME || McpMethod::of(value).is_known() {
        true => Found(without_query(value)).to_string(),
        false => Word(value).to_string(),
    }
}

/// A name may be a URI; its query is left out, as in every log line.
fn without_query(name: &str) -> &str {
    name.split(['?', '#']).next().unwrap_or_default()
}

/// A value that may be shown: it is a version.
fn short_text(raw: &[u8]) -> String {
    json::string(raw).map_or_else(|| raw_text(raw), |text| Word(&text).to_string())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;
    use crate::mcp::message::Message;

    /// The reason for a message with these headers, and what was found.
    fn refused(body: &str, lines: &[(&'static str, &str)]) -> (Reason, String) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        let limits = JsonLimits::default();
        let body = Bytes::copy_from_slice(body.as_bytes());
        let reason = Message::read(&body, &headers, &limits)
            .unwrap_err()
            .fault
            .reason;
        let found = found(&body, &headers, &limits, reason);
        (
            reason,
            found.unwrap_or_else(|| panic!("{body:?}: nothing found")),
        )
    }

    #[test]
    fn each_fault_of_a_message_has_its_text() {
        use Reason::{AmbiguousJson, AmbiguousName, InvalidRequest, ParseError};
        let long = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{}"}}}}"#,
            "x".repeat(MAX_NAME + 1)
        );
        for (body, reason, text) in [
            ("", ParseError, "the body is empty"),
            (
                "{\"a\":}",
                ParseError,
                "not one JSON document: expected value at line 1 column 6",
            ),
            (
                "{} {}",
                ParseError,
                "trailing characters at line 1 column 4",
            ),
            ("<html>", ParseError, "line 1 column 1"),
            ("[]", InvalidRequest, "a JSON array (a batch)"),
            ("1", InvalidRequest, "not a JSON object"),
            (
                r#"{"id":1,"method":"ping"}"#,
                InvalidRequest,
                "no member jsonrpc",
            ),
            (r#"{"jsonrpc":"1.0"}"#, InvalidRequest, "jsonrpc is `1.0`"),
            (
                r#"{"jsonrpc":2.0}"#,
                InvalidRequest,
                "jsonrpc is `2.0`; expected",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                InvalidRequest,
                "id is `1.5`",
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                InvalidRequest,
                "id is `null`",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
                InvalidRequest,
                "method is `7`; expected: text",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1}"#,
                InvalidRequest,
                "the message has none of method",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
                InvalidRequest,
                "has `method`, `result` of",
            ),
            (
                r#"{"jsonrpc":"2.0","result":{}}"#,
                InvalidRequest,
                "a result without an id",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
                InvalidRequest,
                "params is a list",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
                InvalidRequest,
                "`tools/call` needs params.name, which is missing",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
                InvalidRequest,
                "which is `7`, not text",
            ),
            (&long, InvalidRequest, "which has 8193 bytes"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":1}}"#,
                InvalidRequest,
                "params._meta is `1`",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"x"}}}"#,
                InvalidRequest,
                "needs params.ref",
            ),
            (
                r#"{"id":1,"id":2}"#,
                AmbiguousJson,
                "has the member `id` twice",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"a","Method":"b"}"#,
                AmbiguousJson,
                "`method` and `Method` look alike",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"Method":"a"}"#,
                AmbiguousJson,
                "`Method` looks like method",
            ),
            (
                r#"{"jsonrpc":"2.0","\ud800":1}"#,
                AmbiguousJson,
                "a member name is not Unicode text",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wipe\u0000x"}}"#,
                AmbiguousName,
                "params.name has U+0000 as character 5",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a\u202eb"}"#,
                AmbiguousName,
                "method has U+202E as character 2",
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"\u0007"}}}"#,
                AmbiguousName,
                "a name or URI in params has U+0007",
            ),
        ] {
            let (found_reason, found) = refused(body, &[]);
            assert_eq!(found_reason, reason, "{body}");
            assert!(found.contains(text), "{body}: {found}");
        }
    }

    #[test]
    fn a_header_that_differs_is_shown_with_both_values() {
        let modern = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"pin":"s3cr3t"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let version = ("mcp-protocol-version", "2026-07-28");
        let method = ("mcp-method", "tools/call");
        let name = ("mcp-name", "add");
        for (lines, text) in [
            (
                &[] as &[_],
                "no mcp-protocol-version header; in the body: `2026-07-28`",
            ),
            (
                &[("mcp-protocol-version", "2025-11-25")],
                "mcp-protocol-version: `2025-11-25`; in the body: `2026-07-28`",
            ),
            (
                &[version, ("mcp-protocol-version", "2025-06-18")],
                "with different values: `2026-07-28`, `2025-06-18`",
            ),
            (
                &[version],
                "no mcp-method header; in the body: `tools/call`",
            ),
            (
                &[version, ("mcp-method", "tools/list")],
                "mcp-method: `tools/list`; in the body",
            ),
            (&[version, method], "no mcp-name header; in the body: `add`"),
            (
                &[version, method, ("mcp-name", "a?key=s3cr3t")],
                "mcp-name: `a`; in the body: `add`",
            ),
            (
                &[version, method, ("mcp-name", "\u{e4}")],
                "is not plain ASCII",
            ),
            (
                &[version, method, name, ("mcp-param-pin", "s3cr3t 2")],
                "`mcp-param-pin`",
            ),
        ] {
            let (reason, found) = refused(modern, lines);
            assert_eq!(reason, Reason::HeaderMismatch, "{lines:?}");
            assert!(found.contains(text), "{lines:?}: {found}");
            assert!(!found.contains("s3cr3t"), "{found}");
        }
        let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let (reason, found) = refused(legacy, &[version]);
        assert_eq!(reason, Reason::VersionMissing);
        assert_eq!(
            found,
            "no params._meta, with mcp-protocol-version: `2026-07-28`"
        );
        let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let (reason, found) = refused(response, &[version]);
        assert_eq!(reason, Reason::InvalidRequest);
        assert!(found.starts_with("a response to the server"), "{found}");
    }
}
