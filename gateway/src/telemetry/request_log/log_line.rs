//! A line of the access log or the audit log: the fields that both have, the time stamp, and the two formats.
//!
//! Values are redacted and escaped, so that one request is always one line, and a value cannot forge another field.

use std::{
    fmt::{self, Display, Write},
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::redaction::{redact, redact_name};
use crate::config::LogFormat;
use crate::telemetry::{log_queue::LogWriter, request_view::RequestView};

/// The level of every line.
const LEVEL: &str = "INFO";

/// Room for a line from the start, in bytes: most lines need less than 450.
const LINE_ROOM: usize = 512;

/// What a log writes about a request.
pub(crate) trait LogLine {
    /// The target that distinguishes the line from other events.
    const TARGET: Option<&'static str>;
    const MESSAGE: &'static str;
    /// Whether a line is written without the pause in which others gather.
    const IS_WRITTEN_THROUGH: bool;

    /// The request that the line is about.
    fn request(&self) -> &RequestView<'_>;

    /// Adds the fields in their order: the most wanted fields are first.
    fn write(&self, line: &mut LineBuilder);
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

    /// Writes one line, unless the log is off. A full queue drops it.
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

/// The line without a line break, with a time stamp (RFC 3339).
pub(crate) fn encode<L: LogLine>(format: LogFormat, timestamp: &str, line: &L) -> Vec<u8> {
    let mut text = String::with_capacity(LINE_ROOM);
    let request_id = Some(line.request().request_id);
    match format {
        LogFormat::Json => {
            text.extend(["{\"timestamp\":\"", timestamp, "\",\"level\":\"", LEVEL]);
            if let Some(target) = L::TARGET {
                text.extend(["\",\"target\":\"", target]);
            }
            text.extend(["\",\"message\":\"", L::MESSAGE, "\""]);
            let mut builder = LineBuilder { text, format };
            builder.field("request_id", request_id);
            line.write(&mut builder);
            builder.text.push('}');
            builder.text.into_bytes()
        }
        LogFormat::Text => {
            text.extend([timestamp, "  ", LEVEL]);
            text.extend(L::TARGET.iter().flat_map(|target| [" ", target]));
            let mut builder = LineBuilder { text, format };
            line.write(&mut builder);
            builder.field("request_id", request_id);
            builder.text.into_bytes()
        }
    }
}

/// A line in one of the two formats: a JSON object; or values, then `key=value` pairs. Absent values are left out.
pub(crate) struct LineBuilder {
    text: String,
    format: LogFormat,
}

impl LineBuilder {
    /// Adds a field, unless it is absent.
    pub(crate) fn field(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            self.value(value);
        }
    }

    /// Adds a number, unless it is absent.
    pub(crate) fn number(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.key(key);
            self.display(value);
        }
    }

    /// Adds a field whose key is left out of text: its place says what it is.
    pub(crate) fn leading_field(&mut self, key: &str, value: &str) {
        self.leading_key(key);
        self.value(value);
    }

    /// Adds a number whose key is left out of text.
    pub(crate) fn leading_number(&mut self, key: &str, value: impl Display) {
        self.leading_key(key);
        self.display(value);
    }

    /// Adds what was called, redacted.
    pub(crate) fn call(&mut self, request: &RequestView<'_>) {
        self.field("mcp_method", request.mcp_method.map(redact));
        self.field("mcp_name", request.mcp_name.map(redact_name));
    }

    /// Adds who called, redacted.
    pub(crate) fn caller(&mut self, request: &RequestView<'_>) {
        if let Some(principal) = request.principal {
            self.field("subject", Some(redact(&principal.subject)));
            self.field("client_id", principal.client.as_deref().map(redact));
            self.field("issuer", Some(redact(&principal.issuer)));
        }
    }

    /// Adds the client's address.
    pub(crate) fn client(&mut self, request: &RequestView<'_>) {
        self.field("client", Some(&request.client.to_string()));
    }

    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Json => self.text.extend([",\"", key, "\":"]),
            LogFormat::Text => self.text.extend([" ", key, "="]),
        }
    }

    fn leading_key(&mut self, key: &str) {
        match self.format {
            LogFormat::Json => self.key(key),
            LogFormat::Text => self.text.push(' '),
        }
    }

    /// A value, quoted and escaped where it could be read as something else.
    fn value(&mut self, value: &str) {
        let is_safe = match self.format {
            LogFormat::Json => are_all(value, is_safe_in_json),
            LogFormat::Text => !value.is_empty() && are_all(value, is_safe_in_text),
        };
        match self.format {
            LogFormat::Json if is_safe => self.text.extend(["\"", value, "\""]),
            LogFormat::Json => self.text.extend(serde_json::to_string(value)),
            LogFormat::Text if is_safe => self.text.push_str(value),
            LogFormat::Text => {
                self.text.push('"');
                self.text.extend(value.escape_default());
                self.text.push('"');
            }
        }
    }

    fn display(&mut self, value: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "{value}");
    }
}

/// Whether all bytes are so. It reads to the end, which the compiler makes faster than stopping at the first other byte.
fn are_all(value: &str, is_so: fn(u8) -> bool) -> bool {
    value
        .bytes()
        .fold(true, |so_far, byte| so_far & is_so(byte))
}

/// Whether a byte needs no escape in a JSON string.
const fn is_safe_in_json(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// Whether a byte needs no quotes in a line of text.
const fn is_safe_in_text(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\')
}

/// Milliseconds with a resolution of a microsecond.
pub(crate) struct Milliseconds(pub(crate) Duration);

impl Display for Milliseconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        write!(out, "{}.{:03}", microseconds / 1000, microseconds % 1000)
    }
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
    struct Line<'a> {
        request: RequestView<'a>,
        value: Option<&'a str>,
    }

    impl LogLine for Line<'_> {
        const TARGET: Option<&'static str> = None;
        const MESSAGE: &'static str = "message";
        const IS_WRITTEN_THROUGH: bool = false;

        fn request(&self) -> &RequestView<'_> {
            &self.request
        }

        fn write(&self, line: &mut LineBuilder) {
            line.leading_field("word", "word");
            line.field("value", self.value);
            line.number("count", Some(7));
            line.number("none", None::<u32>);
        }
    }

    fn line(value: Option<&str>) -> Line<'_> {
        let request = RequestView {
            request_id: "r1",
            client: &"",
            resource: None,
            principal: None,
            method: None,
            mcp_method: None,
            mcp_name: None,
        };
        Line { request, value }
    }

    fn encoded(format: LogFormat, value: Option<&str>) -> String {
        String::from_utf8(encode(format, "TIME", &line(value))).unwrap()
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
            assert_eq!(
                line,
                format!("TIME  INFO word value={expected} count=7 request_id=r1")
            );
        }
    }

    #[test]
    fn absent_values_are_left_out() {
        let text = encoded(LogFormat::Text, None);
        assert_eq!(text, "TIME  INFO word count=7 request_id=r1");
        let json = r#"{"timestamp":"TIME","level":"INFO","message":"message","request_id":"r1","word":"word","count":7}"#;
        assert_eq!(encoded(LogFormat::Json, None), json);
    }

    #[test]
    fn a_json_line_is_one_object_on_one_line_with_any_values() {
        let every_byte: String = (0..=255_u8).map(char::from).collect();
        for hostile in ["a\n\"},{\"level\":\"ERROR\"\u{2028}", "", "\\", &every_byte] {
            let line = encoded(LogFormat::Json, Some(hostile));
            assert!(!line.contains('\n'));
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(read["value"], hostile);
            assert_eq!(read["level"], LEVEL);
            assert_eq!(read["message"], "message");
            assert_eq!(read.get("target"), None);
        }
    }

    #[test]
    fn a_log_without_a_queue_is_off() {
        let writer = LineWriter::new(None, LogFormat::Json);
        assert!(!writer.is_on());
        writer.write(&line(None));
    }

    #[test]
    fn milliseconds_have_three_decimals() {
        for (microseconds, expected) in [
            (0, "0.000"),
            (7, "0.007"),
            (1_050, "1.050"),
            (3_600_000_000, "3600000.000"),
        ] {
            let duration = Duration::from_micros(microseconds);
            assert_eq!(Milliseconds(duration).to_string(), expected);
        }
    }

    #[test]
    fn a_time_stamp_is_the_current_time_in_utc() {
        let stamped = timestamp();
        let read = OffsetDateTime::parse(&stamped, &Rfc3339).unwrap();
        assert!(stamped.ends_with('Z'), "{stamped}");
        assert!((OffsetDateTime::now_utc() - read).whole_seconds().abs() < 5);
    }
}
