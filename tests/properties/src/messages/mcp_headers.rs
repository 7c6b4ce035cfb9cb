//! Header values that mirror the body: what is decoded is what was encoded, and agrees with nothing else.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue};
use mcp_gateway_core::{
    json::JsonLimits,
    mcp::{
        envelope::{Envelope, MAX_NAME, has_control},
        headers,
        version::Era,
    },
    refusal::reason::Reason,
};

const START: &str = "=?base64?";
const END: &str = "?=";

/// The value of `Mcp-Name`, and, as the text of a name, what such a value should be made of.
pub fn mcp_headers(bytes: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(bytes) {
        decoded(&value);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let value = encoded(text);
        assert_eq!(headers::decode_sentinel(&value).as_deref(), Some(text));
        mirrored(text, value);
    }
}

fn decoded(value: &HeaderValue) {
    let Some(text) = headers::decode_sentinel(value) else {
        return;
    };
    let raw = value.to_str().expect("text");
    match raw
        .strip_prefix(START)
        .and_then(|rest| rest.strip_suffix(END))
    {
        Some(inner) => assert_eq!(BASE64_STANDARD.encode(&*text), inner, "several spellings"),
        None => assert_eq!(raw, text),
    }
    mirrored(&text, value.clone());
}

fn encoded(text: &str) -> HeaderValue {
    HeaderValue::try_from(format!("{START}{}{END}", BASE64_STANDARD.encode(text))).unwrap()
}

/// A request for `name` agrees with this header; one for another does not.
fn mirrored(name: &str, value: HeaderValue) {
    assert_eq!(
        agree(name, &value),
        refused(name).map_or(Ok(Era::Modern), Err)
    );
    let other = format!("{name}x");
    let refused = refused(&other).unwrap_or(Reason::HeaderMismatch);
    assert_eq!(agree(&other, &value), Err(refused));
}

/// Why no request may have this name.
fn refused(name: &str) -> Option<Reason> {
    if name.len() > MAX_NAME {
        return Some(Reason::InvalidRequest);
    }
    has_control(name).then_some(Reason::AmbiguousName)
}

fn agree(name: &str, value: &HeaderValue) -> Result<Era, Reason> {
    let body = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": name, "_meta": { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
    });
    let body = body.to_string();
    let envelope = Envelope::read(body.as_bytes(), &JsonLimits::default())
        .map_err(|unreadable| unreadable.fault.reason)?;
    let mut map = HeaderMap::new();
    map.insert(
        headers::PROTOCOL_VERSION,
        HeaderValue::from_static("2026-07-28"),
    );
    map.insert(headers::METHOD, HeaderValue::from_static("tools/call"));
    map.insert(headers::NAME, value.clone());
    headers::agree(&envelope, &map)
}
