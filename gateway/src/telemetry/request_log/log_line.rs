//! A line of the access log or the audit log: the fields that both have, the time stamp, and the two formats.
//!
//! Values are redacted and escaped, so that one request is always one line, and a value cannot forge another field.

use std::fmt::{Display, Write};

use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::redaction::{redact, redact_name};
use crate::config::LogFormat;
use crate::telemetry::{log_queue::LogWriter, request_view::RequestView};

/// The level of every line.
const LEVEL: &str = "INFO";

/// The fields of a log's own line. JSON takes them from `Serialize`, in the struct's order.
pub(crate) trait LogLine: Serialize {
    /// The target that distinguishes the line from other events.
    const TARGET: Option<&'static str>;
    const MESSAGE: &'static str;
    /// Whether a line is written without the pause in which others gather.
    const IS_WRITTEN_THROUGH: bool;

    /// Adds the fields in the order of text lines: the most wanted fields are first.
    fn write_text(&self, text: &mut TextLine);
}

/// Writes the lines of one log, unless it is off. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct LineWriter {
    queue: Option<LogWriter>,
    format: LogFormat,
}

impl LineWriter {
    /// Writes lines to `queue`; without one the log is off.
    pub(crate) const fn new(queue: Option<LogWriter>, format: LogFormat) -> Self {
        Self { queue, format }
    }

    /// Whether lines are written at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Writes one line. A full queue drops it.
    pub(crate) fn write<L: LogLine>(&self, line: &L) {
        if let Some(queue) = &self.queue {
            let mut bytes = encode(self.format, &timestamp(), line);
            bytes.push(b'\n');
            match L::IS_WRITTEN_THROUGH {
                true => queue.line_through(bytes),
                false => queue.line(bytes),
            }
        }
    }
}

/// The fields about a request that both logs have. Each log has its own fields between these groups.
pub(crate) struct CallerFields<'a> {
    pub(crate) origin: OriginFields<'a>,
    pub(crate) resource: Option<&'a str>,
    pub(crate) call: CallFields<'a>,
    pub(crate) principal: PrincipalFields<'a>,
}

#[derive(Serialize)]
pub(crate) struct OriginFields<'a> {
    request_id: &'a str,
    client: String,
}

#[derive(Serialize)]
pub(crate) struct CallFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcp_name: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct PrincipalFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
}

impl<'a> CallerFields<'a> {
    /// The fields of one line, redacted.
    pub(crate) fn new(request: &RequestView<'a>) -> Self {
        let principal = request.principal;
        let client_id = principal.and_then(|principal| principal.client.as_deref());
        Self {
            origin: OriginFields {
                request_id: request.request_id,
                client: request.client.to_string(),
            },
            resource: request.resource,
            call: CallFields {
                mcp_method: request.mcp_method.map(redact),
                mcp_name: request.mcp_name.map(redact_name),
            },
            principal: PrincipalFields {
                issuer: principal.map(|principal| redact(&principal.issuer)),
                subject: principal.map(|principal| redact(&principal.subject)),
                client_id: client_id.map(redact),
            },
        }
    }
}

/// A line of text: values, then `key=value` pairs. A value with special characters is quoted and escaped.
pub(crate) struct TextLine(String);

impl TextLine {
    fn new(timestamp: &str) -> Self {
        Self(format!("{timestamp}  {LEVEL}"))
    }

    /// Adds a value without a key.
    pub(crate) fn word(&mut self, value: &str) {
        self.0.push(' ');
        self.value(value);
    }

    /// Adds a pair, unless the value is absent.
    pub(crate) fn field(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.0.extend([" ", key, "="]);
            self.value(value);
        }
    }

    /// Adds a pair with a number, unless it is absent.
    pub(crate) fn number(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = write!(self.0, " {key}={value}");
        }
    }

    /// Adds the method and the name.
    pub(crate) fn call(&mut self, fields: &CallFields<'_>) {
        self.field("method", fields.mcp_method);
        self.field("name", fields.mcp_name);
    }

    /// Adds the principal.
    pub(crate) fn principal(&mut self, fields: &PrincipalFields<'_>) {
        self.field("subject", fields.subject);
        self.field("client_id", fields.client_id);
        self.field("issuer", fields.issuer);
    }

    /// Adds the client and the request id.
    pub(crate) fn origin(&mut self, fields: &OriginFields<'_>) {
        self.field("client", Some(&fields.client));
        self.field("request_id", Some(fields.request_id));
    }

    fn value(&mut self, value: &str) {
        if is_plain(value) {
            self.0.push_str(value);
        } else {
            self.0.push('"');
            self.0.extend(value.escape_default());
            self.0.push('"');
        }
    }
}

fn is_plain(value: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    !value.is_empty() && value.bytes().all(is_fine)
}

/// The line without a line break, with a time stamp (RFC 3339).
pub(crate) fn encode<L: LogLine>(format: LogFormat, timestamp: &str, line: &L) -> Vec<u8> {
    match format {
        LogFormat::Json => {
            let stamped = Stamped {
                timestamp,
                level: LEVEL,
                target: L::TARGET,
                message: L::MESSAGE,
                line,
            };
            serde_json::to_vec(&stamped).unwrap_or_default()
        }
        LogFormat::Text => {
            let mut text = TextLine::new(timestamp);
            line.write_text(&mut text);
            text.0.into_bytes()
        }
    }
}

#[derive(Serialize)]
struct Stamped<'a, L> {
    timestamp: &'a str,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'static str>,
    message: &'static str,
    #[serde(flatten)]
    line: &'a L,
}

fn timestamp() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with a value from a client.
    #[derive(Serialize)]
    struct Line<'a> {
        value: Option<&'a str>,
        count: u32,
    }

    impl LogLine for Line<'_> {
        const TARGET: Option<&'static str> = None;
        const MESSAGE: &'static str = "message";
        const IS_WRITTEN_THROUGH: bool = false;

        fn write_text(&self, text: &mut TextLine) {
            text.word("word");
            text.field("value", self.value);
            text.number("count", Some(self.count));
            text.number("none", None::<u32>);
        }
    }

    fn encoded(format: LogFormat, value: Option<&str>) -> String {
        let line = Line { value, count: 7 };
        String::from_utf8(encode(format, "TIME", &line)).unwrap()
    }

    #[test]
    fn a_value_with_special_characters_is_quoted_and_forges_no_field() {
        for (value, expected) in [
            ("plain/value:1", "plain/value:1"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("a=b", r#""a=b""#),
            ("a\"b", r#""a\"b""#),
            ("a\\b", r#""a\\b""#),
            ("a\r\nTIME  INFO", r#""a\r\nTIME  INFO""#),
            ("\u{1b}[31m", r#""\u{1b}[31m""#),
            ("\u{2028}ä", r#""\u{2028}\u{e4}""#),
        ] {
            let line = encoded(LogFormat::Text, Some(value));
            assert_eq!(line, format!("TIME  INFO word value={expected} count=7"));
        }
    }

    #[test]
    fn absent_values_are_left_out_of_a_text_line() {
        assert_eq!(encoded(LogFormat::Text, None), "TIME  INFO word count=7");
    }

    #[test]
    fn a_json_line_is_one_object_on_one_line_with_any_values() {
        let hostile = "a\n\"},{\"level\":\"ERROR\"\u{2028}";
        let line = encoded(LogFormat::Json, Some(hostile));
        assert!(!line.contains('\n') && line.starts_with(r#"{"timestamp":"TIME","level":"INFO","#));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["value"], hostile);
        assert_eq!(read["level"], LEVEL);
        assert_eq!(read["message"], "message");
        assert_eq!(read.get("target"), None);
    }

    #[test]
    fn a_log_without_a_queue_is_off() {
        let writer = LineWriter::new(None, LogFormat::Json);
        assert!(!writer.is_on());
        writer.write(&Line {
            value: None,
            count: 0,
        });
    }

    #[test]
    fn a_time_stamp_is_the_current_time_in_utc() {
        let stamped = timestamp();
        let read = OffsetDateTime::parse(&stamped, &Rfc3339).unwrap();
        assert!(stamped.ends_with('Z'), "{stamped}");
        assert!((OffsetDateTime::now_utc() - read).whole_seconds().abs() < 5);
    }
}
