//! One line for each request, as JSON or as text, written beside the operational logs.
//!
//! A line says who called what and how it ended. It holds no token, no query and no body: names and subjects are cut
//! and escaped, so that one request is always one line.

use std::{borrow::Cow, time::Duration};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::log_queue::LogWriter;
use crate::config::{Log, LogFormat};

/// The longest name, subject or path in a line, in characters.
const FIELD_LENGTH: usize = 256;

/// How a part of a compact JSON Web Token begins: `{"` in base64url.
const TOKEN_BEGIN: &str = "eyJ";

/// Characters from which on a word that begins so is taken for a token.
const TOKEN_PART: usize = 16;

/// The longest word of an unknown path or method that is shown whole, in characters; the longest of a well-known path has 26.
const WORD_LENGTH: usize = 32;
const WORD_SHOWN: usize = 8;

/// Writes access lines; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    writer: Option<LogWriter>,
    format: LogFormat,
}

/// What one request was and how it ended. Absent values are left out of the line.
#[derive(Debug, Default, Serialize)]
pub(crate) struct AccessLine<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) client: &'a str,
    pub(crate) http_method: &'a str,
    pub(crate) path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<&'a str>,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    pub(crate) duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_ms: Option<f64>,
    pub(crate) bytes_sent: u64,
    /// What was wrong, in words no client is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<&'a str>,
    /// The answer is not whole: the `client`, the `upstream` or the `gateway` went away in the middle of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) broken_by: Option<&'a str>,
}

#[derive(Serialize)]
struct Stamped<'a> {
    timestamp: &'a str,
    level: &'static str,
    message: &'static str,
    #[serde(flatten)]
    line: &'a AccessLine<'a>,
}

impl AccessLog {
    /// A log that writes where `writer` does, unless the configuration switches it off.
    pub(crate) fn new(log: &Log, writer: LogWriter) -> Self {
        Self {
            writer: log.access.then_some(writer),
            format: log.format,
        }
    }

    /// Whether lines are written at all.
    pub(crate) fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Writes one line. A full queue drops it.
    pub(crate) fn write(&self, line: &AccessLine<'_>) {
        let Some(writer) = &self.writer else {
            return;
        };
        let timestamp = timestamp();
        let mut text = match self.format {
            LogFormat::Json => json(&timestamp, line),
            LogFormat::Text => text(&timestamp, line),
        };
        text.push(b'\n');
        writer.line(text);
    }
}

/// A value cut to what a line may hold, and before anything that reads like a JSON Web Token: clients put tokens into
/// every place there is.
pub(crate) fn cut(value: &str) -> &str {
    let value = head(value, FIELD_LENGTH);
    let is_token = |at: &usize| {
        let rest = value.get(*at..).unwrap_or_default();
        rest.bytes().take_while(|byte| is_base64url(*byte)).count() >= TOKEN_PART
    };
    let mut begins = value.match_indices(TOKEN_BEGIN).map(|(at, _)| at);
    begins
        .find(is_token)
        .map_or(value, |at| head_to(value, at + TOKEN_BEGIN.len()))
}

/// The name of a tool, prompt or resource. A resource's is a URI, whose query is left out as that of a request is.
pub(crate) fn cut_name(name: &str) -> &str {
    let end = name.find('?');
    cut(end.map_or(name, |end| head_to(name, end)))
}

/// A path that no resource has: a long segment may be an opaque token, so no more than its beginning is shown.
pub(crate) fn cut_unknown_path(path: &str) -> &str {
    let mut begin = 0;
    for segment in path.split('/') {
        let shown = cut_word(segment);
        if shown.len() < segment.len() {
            return cut(head_to(path, begin + shown.len()));
        }
        begin += segment.len() + 1;
    }
    cut(path)
}

/// A word of the client's own, such as a method that HTTP does not know: its beginning, where it is long.
pub(crate) fn cut_word(word: &str) -> &str {
    if word.chars().nth(WORD_LENGTH).is_some() {
        head(word, WORD_SHOWN)
    } else {
        word
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The first `length` characters.
fn head(value: &str, length: usize) -> &str {
    let end = value.char_indices().nth(length);
    end.map_or(value, |(end, _)| head_to(value, end))
}

fn head_to(value: &str, end: usize) -> &str {
    value.get(..end).unwrap_or(value)
}

/// Milliseconds with a resolution of a microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Now, as lines say it (RFC 3339).
pub(super) fn timestamp() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}

fn json(timestamp: &str, line: &AccessLine<'_>) -> Vec<u8> {
    let stamped = Stamped {
        timestamp,
        level: "INFO",
        message: "request",
        line,
    };
    serde_json::to_vec(&stamped).unwrap_or_default()
}

/// What people look for first, then `key=value` pairs. A value that is not plain is quoted and escaped, so that nothing
/// can forge a second line or another field.
fn text(timestamp: &str, line: &AccessLine<'_>) -> Vec<u8> {
    let mut out = format!(
        "{timestamp}  INFO {} {}",
        line.status,
        plain(line.http_method)
    );
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.extend([" ", name, &plain(value)]);
        }
    };
    say("path=", Some(line.path));
    say("method=", line.mcp_method);
    say("name=", line.mcp_name);
    say("reason=", line.reason);
    say("subject=", line.subject);
    say("client_id=", line.client_id);
    say("issuer=", line.issuer);
    say("resource=", line.resource);
    say("detail=", line.detail);
    say("broken_by=", line.broken_by);
    say("duration_ms=", Some(&line.duration_ms.to_string()));
    say(
        "upstream_ms=",
        line.upstream_ms.map(|ms| ms.to_string()).as_deref(),
    );
    say("bytes_sent=", Some(&line.bytes_sent.to_string()));
    say("client=", Some(line.client));
    say("request_id=", Some(line.request_id));
    out.into_bytes()
}

/// A value as text lines show it: quoted and escaped where it is not plain.
pub(super) fn plain(value: &str) -> Cow<'_, str> {
    if is_plain(value) {
        return Cow::Borrowed(value);
    }
    format!("\"{}\"", value.escape_default()).into()
}

fn is_plain(value: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    !value.is_empty() && value.bytes().all(is_fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>() -> AccessLine<'a> {
        AccessLine {
            request_id: "r1",
            path: "/mcp",
            http_method: "POST",
            status: 200,
            mcp_name: Some("evil\n\"name\u{1b}[31m"),
            ..AccessLine::default()
        }
    }

    #[test]
    fn a_hostile_name_stays_within_its_json_line() {
        let bytes = json("2026-01-01T00:00:00Z", &line());
        assert!(!bytes.contains(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["mcp_name"], "evil\n\"name\u{1b}[31m");
    }

    #[test]
    fn a_hostile_name_stays_within_its_text_line() {
        let bytes = text("2026-01-01T00:00:00Z", &line());
        assert!(!bytes.contains(&b'\n') && !bytes.contains(&0x1b));
    }

    #[test]
    fn a_hostile_name_forges_no_field_of_a_text_line() {
        let forging = AccessLine {
            mcp_name: Some("subject=admin\u{9b}31m\u{202e}"),
            ..line()
        };
        let bytes = text("2026-01-01T00:00:00Z", &forging);
        assert!(!bytes.windows(9).any(|part| part == b" subject="));
        assert!(bytes.is_ascii());
    }

    #[test]
    fn absent_values_are_left_out() {
        let bytes = json("2026-01-01T00:00:00Z", &line());
        assert!(!String::from_utf8(bytes).unwrap().contains("subject"));
    }

    #[test]
    fn what_may_be_a_token_is_not_shown() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        let cases = [
            (format!("/{token}"), "/eyJ"),
            (format!("a{token}"), "aeyJ"),
            ("eyJ is how JSON begins".into(), "eyJ is how JSON begins"),
            (format!("eyJ eyJ{}", "x".repeat(13)), "eyJ eyJ"),
            ("create_task".into(), "create_task"),
        ];
        for (value, expected) in cases {
            assert_eq!(cut(&value), expected);
        }
        assert_eq!(cut_name("https://a.example/b?key=c"), "https://a.example/b");
        let opaque = "0123456789".repeat(4);
        let cases = [
            (format!("/mcp/{opaque}/x"), "/mcp/01234567"),
            (
                format!("/{}", &opaque[..32]),
                &format!("/{}", &opaque[..32]),
            ),
            ("/ä".repeat(3), "/ä/ä/ä"),
            (
                format!("/{}", "ä".repeat(40)),
                &format!("/{}", "ä".repeat(8)),
            ),
            (String::new(), ""),
        ];
        for (path, expected) in cases {
            assert_eq!(cut_unknown_path(&path), expected);
        }
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let long = "ä".repeat(FIELD_LENGTH + 10);
        assert_eq!(cut(&long).chars().count(), FIELD_LENGTH);
        assert_eq!(cut("short"), "short");
    }
}
