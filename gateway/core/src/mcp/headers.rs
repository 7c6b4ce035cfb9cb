//! Compares the headers that mirror the body with the body (MCP 2026-07-28, Streamable HTTP, *Request Metadata*).
//!
//! In the modern era an intermediary can act on `Mcp-Method` and `Mcp-Name` without reading the body. So a request whose headers
//! and body differ is two requests in one, and refused. In the legacy era these headers have no meaning.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::envelope::{Envelope, MessageKind};
use super::method::{McpMethod, Mirror};
use super::version::{Era, era};
use crate::json::{self, number};
use crate::refusal::reason::Reason;

/// `MCP-Protocol-Version`, in both eras.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// `Mcp-Method`, which mirrors the method.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// `Mcp-Name`, which mirrors what the method acts on.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// `Mcp-Session-Id`, legacy only.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The prefix of headers that mirror tool arguments. They are forwarded unchanged, if they agree with the arguments.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// Checks that the headers agree with the message, and returns its era.
///
/// # Errors
/// In this order: [`Reason::HeaderMismatch`] for a version header with several values, [`Reason::InvalidRequest`] for a response
/// in the modern era, [`Reason::VersionMissing`] for a modern request without a version in `_meta`, [`Reason::HeaderMismatch`]
/// for a header that is missing, repeated, unreadable or different.
pub fn agree(envelope: &Envelope<'_>, headers: &HeaderMap) -> Result<Era, Reason> {
    agree_with_version(envelope, headers).map(|(era, _)| era)
}

/// The same, with the version in the header.
pub(crate) fn agree_with_version<'h>(
    envelope: &Envelope<'_>,
    headers: &'h HeaderMap,
) -> Result<(Era, Option<&'h str>), Reason> {
    let found = era_of(headers, envelope.meta_version())?;
    if found.0 == Era::Modern {
        modern_agrees(envelope, headers)?;
    }
    Ok(found)
}

fn modern_agrees(envelope: &Envelope<'_>, headers: &HeaderMap) -> Result<(), Reason> {
    let due = match envelope.kind() {
        MessageKind::Response => return Err(Reason::InvalidRequest),
        MessageKind::Request if envelope.meta_version().is_none() => {
            return Err(Reason::VersionMissing);
        }
        MessageKind::Request => true,
        // The revision defines no headers for notifications. Headers that are present must still agree.
        MessageKind::Notification => false,
    };
    let version = plain(headers, PROTOCOL_VERSION)?;
    if envelope.meta_version().is_some() {
        mirrors(version, envelope.meta_version(), due)?;
    }
    mirrors(plain(headers, METHOD)?, envelope.method(), due)?;
    name_agrees(envelope, headers, due)
}

/// Compares the headers that mirror the arguments of a tool or prompt with the arguments of the same name, ASCII case aside, and returns the names of
/// those that no argument has: the server's schema may give a header another name (`x-mcp-header`), which only the server knows.
///
/// # Errors
/// [`Reason::HeaderMismatch`] for a header that is repeated, unreadable, or different from the argument of its name.
pub(crate) fn params_without_argument(
    envelope: &Envelope<'_>,
    headers: &HeaderMap,
) -> Result<Vec<Box<str>>, Reason> {
    if !envelope.called().is_some_and(McpMethod::takes_arguments) {
        return Ok(Vec::new());
    }
    let mut params = params(headers)?;
    if params.is_empty() {
        return Ok(Vec::new());
    }
    let longest = params.keys().map(|name| name.len()).max();
    let arguments = envelope.arguments().map(json::object);
    let arguments = arguments.and_then(Result::ok).unwrap_or_default();
    let short = arguments
        .iter()
        .filter(|(own, _)| Some(own.len()) <= longest);
    for (own, raw) in short {
        // Names of header fields are in lower case.
        if let Some((value, is_met)) = params.get_mut(&*own.to_ascii_lowercase()) {
            if !is_written_as(raw, value) {
                return Err(Reason::HeaderMismatch);
            }
            *is_met = true;
        }
    }
    params.retain(|_, (_, is_met)| !*is_met);
    Ok(params.into_keys().map(Into::into).collect())
}

/// The values of the headers that mirror arguments, by the name of the argument, each with whether an argument was found.
fn params(headers: &HeaderMap) -> Result<BTreeMap<&str, (Cow<'_, str>, bool)>, Reason> {
    let names = headers.keys().filter_map(|name| {
        let param = name.as_str().strip_prefix(PARAM_PREFIX)?;
        Some((name, param))
    });
    names
        .map(|(name, param)| {
            let value = single(headers, name.clone())?.and_then(decode_sentinel);
            let value = value.ok_or(Reason::HeaderMismatch)?;
            Ok((param, (value, false)))
        })
        .collect()
}

/// Whether an argument is written so in a header: a text as it is, a number in decimal, or true or false (MCP 2026-07-28,
/// *Value Encoding*).
fn is_written_as(raw: &[u8], value: &str) -> bool {
    match raw.first() {
        Some(b'"') => json::string(raw).is_some_and(|text| text == value),
        Some(b'-' | b'0'..=b'9') => {
            raw == value.as_bytes()
                || number::exact(raw)
                    .is_some_and(|own| number::exact(value.as_bytes()) == Some(own))
        }
        Some(b't' | b'f') => raw == value.as_bytes(),
        _ => false,
    }
}

/// The era of a request without a body: GET and DELETE.
///
/// # Errors
/// [`Reason::HeaderMismatch`] if the version header is repeated or is not plain text.
pub fn agree_without_body(headers: &HeaderMap) -> Result<Era, Reason> {
    plain(headers, PROTOCOL_VERSION)?;
    era_of(headers, None).map(|(era, _)| era)
}

/// The version in the header. Call it only after [`agree`]: then there is at most one, in plain text.
pub fn version(headers: &HeaderMap) -> Option<&str> {
    headers.get(PROTOCOL_VERSION)?.to_str().ok()
}

/// The text of a header value: `=?base64?…?=` decoded, any other value unchanged.
///
/// `None` if it is neither plain ASCII nor correctly encoded. The markers are recognised in lower case only; other spellings
/// are literal text (*Value Encoding*).
pub fn decode_sentinel(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let text = value.to_str().ok()?;
    if !(text.starts_with(SENTINEL_START) && text.ends_with(SENTINEL_END)) {
        return Some(Cow::Borrowed(text));
    }
    let encoded = text
        .strip_prefix(SENTINEL_START)?
        .strip_suffix(SENTINEL_END)?;
    String::from_utf8(STANDARD.decode(encoded).ok()?)
        .ok()
        .map(Cow::Owned)
}

/// A text as a header value that [`decode_sentinel`] reads: unchanged if it is plain ASCII, has no spaces at its ends and does
/// not look encoded, otherwise encoded. `None` if it is too long for a header.
pub fn encode_sentinel(text: &str) -> Option<HeaderValue> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.trim_matches(' ') == text
        && !(text.starts_with(SENTINEL_START) && text.ends_with(SENTINEL_END));
    if is_plain {
        return HeaderValue::from_str(text).ok();
    }
    let encoded = STANDARD.encode(text);
    HeaderValue::try_from(format!("{SENTINEL_START}{encoded}{SENTINEL_END}")).ok()
}

const SENTINEL_START: &str = "=?base64?";
const SENTINEL_END: &str = "?=";

/// The era, and the version in the header. A version that is not plain text is of none that is known.
fn era_of<'h>(
    headers: &'h HeaderMap,
    meta: Option<&str>,
) -> Result<(Era, Option<&'h str>), Reason> {
    let version = single(headers, PROTOCOL_VERSION)?;
    if version.is_some_and(|version| version.as_bytes().contains(&b',')) {
        return Err(Reason::HeaderMismatch);
    }
    let version = version.map(|version| version.to_str().unwrap_or_default());
    Ok((era(version, meta), version))
}

fn name_agrees(envelope: &Envelope<'_>, headers: &HeaderMap, due: bool) -> Result<(), Reason> {
    let value = single(headers, NAME)?;
    let mirror = envelope.called().map_or(Mirror::Never, McpMethod::mirror);
    if mirror == Mirror::Never {
        return Ok(());
    }
    let text = value
        .map(|value| decode_sentinel(value).ok_or(Reason::HeaderMismatch))
        .transpose()?;
    mirrors(text, envelope.name(), due && mirror == Mirror::Required)
}

fn mirrors(header: Option<Cow<'_, str>>, body: Option<&str>, due: bool) -> Result<(), Reason> {
    match header.as_deref() {
        None if !due => Ok(()),
        Some(_) if header.as_deref() == body => Ok(()),
        _ => Err(Reason::HeaderMismatch),
    }
}

/// The text of a header without encoding.
fn plain(headers: &HeaderMap, name: HeaderName) -> Result<Option<Cow<'_, str>>, Reason> {
    single(headers, name)?
        .map(|value| {
            value
                .to_str()
                .map(Cow::Borrowed)
                .map_err(|_| Reason::HeaderMismatch)
        })
        .transpose()
}

fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, Reason> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Reason::HeaderMismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonLimits;

    const MODERN: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    type Headers<'a> = &'a [(&'a str, &'a str)];
    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

    fn agreed(body: &str, headers: Headers<'_>) -> Result<Era, Reason> {
        let envelope = Envelope::read(body.as_bytes(), &JsonLimits::default()).unwrap();
        agree(&envelope, &map(headers))
    }

    fn map(headers: Headers<'_>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
        }
        map
    }

    fn call(method: &str, member: &str, name: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"{member}":"{name}",{MODERN}}}}}"#
        )
    }

    fn plain_request(method: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{MODERN}}}}}"#)
    }

    /// The names without an argument, of a tool call with these arguments and headers.
    fn params(arguments: &str, fields: &[(&str, &str)]) -> Result<Vec<Box<str>>, Reason> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#
        );
        let envelope = Envelope::read(body.as_bytes(), &JsonLimits::default()).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(format!("mcp-param-{name}").as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        params_without_argument(&envelope, &headers)
    }

    #[test]
    fn a_header_that_mirrors_an_argument_agrees_with_it() {
        for (arguments, name, value) in [
            (r#"{"region":"eu"}"#, "region", "eu"),
            (r#"{"Region":"eu"}"#, "REGION", "eu"),
            (r#"{"region":"\u0065u"}"#, "region", "eu"),
            (r#"{"region":"\u00fc"}"#, "region", "=?base64?w7w=?="),
            (r#"{"n":5}"#, "n", "5"),
            (r#"{"n":5.0}"#, "n", "5"),
            (r#"{"n":12345678901234567890}"#, "n", "12345678901234567890"),
            (r#"{"flag":true}"#, "flag", "true"),
        ] {
            assert_eq!(
                params(arguments, &[(name, value)]),
                Ok(vec![]),
                "{arguments}"
            );
        }
        for (arguments, name, value) in [
            (r#"{"region":"eu"}"#, "region", "us"),
            (r#"{"region":"eu"}"#, "region", "EU"),
            (r#"{"region":"eu"}"#, "Region", "=?base64?dXM=?="),
            (r#"{"region":"eu"}"#, "region", "=?base64?!?="),
            (r#"{"region":"eu"}"#, "region", ""),
            (r#"{"region":"eu","Region":"us"}"#, "region", "eu"),
            (r#"{"region":null}"#, "region", "null"),
            (r#"{"region":["eu"]}"#, "region", "[\"eu\"]"),
            (r#"{"region":"\ud800"}"#, "region", "?"),
            (r#"{"n":5}"#, "n", "6"),
            (r#"{"n":12345678901234567890}"#, "n", "12345678901234567891"),
            (r#"{"flag":true}"#, "flag", "True"),
        ] {
            let refused = Err(Reason::HeaderMismatch);
            assert_eq!(
                params(arguments, &[(name, value)]),
                refused,
                "{arguments} {value}"
            );
        }
        let twice = [("region", "eu"), ("region", "us")];
        assert_eq!(
            params(r#"{"region":"eu"}"#, &twice),
            Err(Reason::HeaderMismatch)
        );
    }

    #[test]
    fn a_header_without_an_argument_of_its_name_is_reported() {
        for arguments in ["{}", "null", r#"{"location":"eu"}"#, "[]"] {
            let without = params(arguments, &[("region", "eu")]).unwrap();
            assert_eq!(without, ["region".into()], "{arguments}");
        }
    }

    #[test]
    fn a_legacy_message_is_not_compared() {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#;
        for headers in [
            &[][..],
            &[("mcp-protocol-version", "2025-06-18")],
            &[
                ("mcp-protocol-version", "2025-11-25"),
                ("mcp-method", "other"),
                ("mcp-method", "x"),
                ("mcp-name", "b"),
            ],
            &[("mcp-method", "tools/list")],
        ] {
            assert_eq!(agreed(body, headers), Ok(Era::Legacy), "{headers:?}");
        }
        assert_eq!(
            agreed(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, &[]),
            Ok(Era::Legacy)
        );
    }

    #[test]
    fn a_modern_request_that_agrees_is_modern() {
        let cases = [
            (
                plain_request("tools/list"),
                vec![("mcp-method", "tools/list")],
            ),
            (
                call("tools/call", "name", "add"),
                vec![("mcp-method", "tools/call"), ("mcp-name", "add")],
            ),
            (
                call("tools/call", "name", "two words"),
                vec![("mcp-method", "tools/call"), ("mcp-name", "two words")],
            ),
            (
                call("tools/call", "name", "größe"),
                vec![
                    ("mcp-method", "tools/call"),
                    ("mcp-name", "=?base64?Z3LDtsOfZQ==?="),
                ],
            ),
            (
                call("tools/call", "name", "add"),
                vec![
                    ("mcp-method", "tools/call"),
                    ("mcp-name", "=?base64?YWRk?="),
                ],
            ),
            (
                call("tools/call", "name", "=?base64?literal?="),
                vec![
                    ("mcp-method", "tools/call"),
                    ("mcp-name", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
                ],
            ),
            (
                call("tools/call", "name", "=?BASE64?YWRk?="),
                vec![
                    ("mcp-method", "tools/call"),
                    ("mcp-name", "=?BASE64?YWRk?="),
                ],
            ),
            (
                call("prompts/get", "name", "p"),
                vec![("mcp-method", "prompts/get"), ("mcp-name", "p")],
            ),
            (
                call("resources/read", "uri", "a://b?c"),
                vec![("mcp-method", "resources/read"), ("mcp-name", "a://b?c")],
            ),
            (
                call("tasks/get", "taskId", "t"),
                vec![("mcp-method", "tasks/get"), ("mcp-name", "t")],
            ),
            (
                call("tasks/result", "taskId", "t"),
                vec![("mcp-method", "tasks/result"), ("mcp-name", "unread")],
            ),
            (
                call("resources/subscribe", "uri", "u"),
                vec![("mcp-method", "resources/subscribe")],
            ),
            (
                call("resources/subscribe", "uri", "u"),
                vec![("mcp-method", "resources/subscribe"), ("mcp-name", "u")],
            ),
            (
                plain_request("tools/list"),
                vec![("mcp-method", "tools/list"), ("mcp-name", "anything")],
            ),
            (
                plain_request("tools/list"),
                vec![
                    ("mcp-method", "tools/list"),
                    ("mcp-param-a_b", "1"),
                    ("mcp-param-a_b", "2"),
                ],
            ),
        ];
        for (body, mut headers) in cases {
            headers.push(VERSION);
            assert_eq!(
                agreed(&body, &headers),
                Ok(Era::Modern),
                "{body} {headers:?}"
            );
        }
    }

    #[test]
    fn a_version_missing_in_meta_is_refused_before_other_mismatches() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{}}}"#,
        ] {
            for headers in [
                &[VERSION][..],
                &[
                    ("mcp-protocol-version", "1900-01-01"),
                    ("mcp-method", "tools/list"),
                ],
                &[("mcp-protocol-version", "")],
                &[("mcp-protocol-version", "2025-06-18\u{e9}")],
            ] {
                assert_eq!(
                    agreed(body, headers),
                    Err(Reason::VersionMissing),
                    "{body} {headers:?}"
                );
            }
        }
    }

    #[test]
    fn a_request_whose_headers_differ_from_its_body_is_refused() {
        let listing = plain_request("tools/list");
        let calling = call("tools/call", "name", "add");
        let method = ("mcp-method", "tools/call");
        let cases: &[(&str, &str, Headers<'_>)] = &[
            ("version missing", &listing, &[("mcp-method", "tools/list")]),
            (
                "version different",
                &listing,
                &[
                    ("mcp-protocol-version", "2027-01-01"),
                    ("mcp-method", "tools/list"),
                ],
            ),
            (
                "version legacy",
                &listing,
                &[
                    ("mcp-protocol-version", "2025-06-18"),
                    ("mcp-method", "tools/list"),
                ],
            ),
            (
                "version repeated",
                &listing,
                &[VERSION, VERSION, ("mcp-method", "tools/list")],
            ),
            (
                "version encoded",
                &listing,
                &[
                    ("mcp-protocol-version", "=?base64?MjAyNi0wNy0yOA==?="),
                    ("mcp-method", "tools/list"),
                ],
            ),
            ("method missing", &listing, &[VERSION]),
            (
                "method different",
                &listing,
                &[VERSION, ("mcp-method", "tools/call")],
            ),
            (
                "method in other case",
                &listing,
                &[VERSION, ("mcp-method", "Tools/List")],
            ),
            (
                "method repeated",
                &listing,
                &[
                    VERSION,
                    ("mcp-method", "tools/list"),
                    ("mcp-method", "tools/list"),
                ],
            ),
            (
                "method encoded",
                &listing,
                &[VERSION, ("mcp-method", "=?base64?dG9vbHMvbGlzdA==?=")],
            ),
            (
                "name repeated where unread",
                &listing,
                &[
                    VERSION,
                    ("mcp-method", "tools/list"),
                    ("mcp-name", "a"),
                    ("mcp-name", "a"),
                ],
            ),
            ("name missing", &calling, &[VERSION, method]),
            (
                "name different",
                &calling,
                &[VERSION, method, ("mcp-name", "sub")],
            ),
            (
                "name in other case",
                &calling,
                &[VERSION, method, ("mcp-name", "Add")],
            ),
            (
                "name repeated",
                &calling,
                &[VERSION, method, ("mcp-name", "add"), ("mcp-name", "add")],
            ),
            (
                "name not plain",
                &calling,
                &[VERSION, method, ("mcp-name", "\u{e4}dd")],
            ),
            (
                "name badly encoded",
                &calling,
                &[VERSION, method, ("mcp-name", "=?base64?YWR?=")],
            ),
            (
                "name in upper-case markers",
                &calling,
                &[VERSION, method, ("mcp-name", "=?BASE64?YWRk?=")],
            ),
            (
                "name encoded with white space",
                &calling,
                &[VERSION, method, ("mcp-name", "=?base64? YWRk?=")],
            ),
            (
                "name encoded for URLs",
                &call("tools/call", "name", "???"),
                &[VERSION, method, ("mcp-name", "=?base64?Pz8_?=")],
            ),
            (
                "literal that looks encoded",
                &call("tools/call", "name", "=?base64?x?="),
                &[VERSION, method, ("mcp-name", "=?base64?x?=")],
            ),
            (
                "markers that overlap",
                &call("tools/call", "name", "=?base64?="),
                &[VERSION, method, ("mcp-name", "=?base64?=")],
            ),
            (
                "subscribe different",
                &call("resources/subscribe", "uri", "u"),
                &[
                    VERSION,
                    ("mcp-method", "resources/subscribe"),
                    ("mcp-name", "v"),
                ],
            ),
            (
                "task missing",
                &call("tasks/update", "taskId", "t"),
                &[VERSION, ("mcp-method", "tasks/update")],
            ),
        ];
        for (name, body, headers) in cases {
            assert_eq!(agreed(body, headers), Err(Reason::HeaderMismatch), "{name}");
        }
    }

    #[test]
    fn a_notification_is_compared_only_with_headers_that_are_present() {
        let bare = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
        let versioned =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/x","params":{{{MODERN}}}}}"#);
        let accepted: &[(&str, Headers<'_>)] = &[
            (bare, &[VERSION]),
            (
                bare,
                &[
                    VERSION,
                    ("mcp-method", "notifications/x"),
                    ("mcp-name", "unread"),
                ],
            ),
            (&versioned, &[]),
            (&versioned, &[VERSION]),
        ];
        for (body, headers) in accepted {
            assert_eq!(agreed(body, headers), Ok(Era::Modern), "{body} {headers:?}");
        }
        let refused: &[(&str, Headers<'_>)] = &[
            (bare, &[VERSION, VERSION]),
            (bare, &[VERSION, ("mcp-method", "notifications/y")]),
            (&versioned, &[("mcp-protocol-version", "2027-01-01")]),
        ];
        for (body, headers) in refused {
            assert_eq!(
                agreed(body, headers),
                Err(Reason::HeaderMismatch),
                "{body} {headers:?}"
            );
        }
    }

    #[test]
    fn a_modern_response_is_refused() {
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        assert_eq!(agreed(body, &[VERSION]), Err(Reason::InvalidRequest));
        assert_eq!(
            agreed(body, &[("mcp-protocol-version", "2025-11-25")]),
            Ok(Era::Legacy)
        );
    }

    #[test]
    fn several_version_headers_are_refused_in_each_era() {
        const LEGACY: (&str, &str) = ("mcp-protocol-version", "2025-06-18");
        for several in [
            &[LEGACY, LEGACY][..],
            &[LEGACY, VERSION],
            &[("mcp-protocol-version", "2025-06-18, 2025-06-18")],
            &[("mcp-protocol-version", "2026-07-28,2026-07-28")],
            &[("mcp-protocol-version", "2025-06-18,")],
        ] {
            for body in [
                r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/x"}"#,
            ] {
                let outcome = agreed(body, several);
                assert_eq!(outcome, Err(Reason::HeaderMismatch), "{body} {several:?}");
            }
            let outcome = agree_without_body(&map(several));
            assert_eq!(outcome, Err(Reason::HeaderMismatch), "{several:?}");
        }
    }

    #[test]
    fn without_a_body_the_header_alone_decides_the_era() {
        assert_eq!(agree_without_body(&map(&[])), Ok(Era::Legacy));
        assert_eq!(
            agree_without_body(&map(&[("mcp-protocol-version", "2024-11-05")])),
            Ok(Era::Legacy)
        );
        assert_eq!(agree_without_body(&map(&[VERSION])), Ok(Era::Modern));
        assert_eq!(
            agree_without_body(&map(&[("mcp-protocol-version", "\u{e9}")])),
            Err(Reason::HeaderMismatch)
        );
    }

    #[test]
    fn an_encoded_text_is_decoded_to_the_same_text() {
        for text in ["a", "a b", "", "786512e2-9e0d", "~!"] {
            assert_eq!(encode_sentinel(text).unwrap(), text);
        }
        for text in [
            "größe",
            " a",
            "a ",
            "a\tb",
            "a\r\nx-admin: 1",
            "=?base64?YWRk?=",
            "=?base64?=",
        ] {
            let value = encode_sentinel(text).unwrap();
            assert!(
                value.to_str().unwrap().starts_with(SENTINEL_START),
                "{text:?}"
            );
            assert_eq!(decode_sentinel(&value).as_deref(), Some(text));
        }
    }

    #[test]
    fn only_values_with_both_markers_are_decoded() {
        let cases = [
            ("us-west1", Some("us-west1")),
            ("", Some("")),
            ("a\tb c", Some("a\tb c")),
            ("=?base64?SGVsbG8sIOS4lueVjA==?=", Some("Hello, 世界")),
            ("=?base64?IHBhZGRlZCA=?=", Some(" padded ")),
            ("=?base64?bGluZTEKbGluZTI=?=", Some("line1\nline2")),
            ("=?base64??=", Some("")),
            ("=?Base64?YWRk?=", Some("=?Base64?YWRk?=")),
            ("=?base64?YWRk", Some("=?base64?YWRk")),
            ("x=?base64?YWRk?=", Some("x=?base64?YWRk?=")),
            ("=?base64?YWRk?= ", Some("=?base64?YWRk?= ")),
            ("=?base64?=", None),
            ("=?base64?YWR?=", None),
            ("=?base64?YWRk=?=", None),
            ("=?base64?YW\u{e9}k?=", None),
            ("=?base64?/w==?=", None),
            ("=?base64?YR==?=", None),
            ("größe", None),
        ];
        for (value, text) in cases {
            let header = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            assert_eq!(decode_sentinel(&header).as_deref(), text, "{value}");
        }
    }
}
