//! A line of the access log or the audit log: the fields that both have, the time stamp, and the two formats.
//!
//! Values are redacted and escaped, so that one request is always one line, and a value cannot forge another field.

use std::{
    cell::Cell,
    fmt::Display,
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use itoa::Integer;
use mcp_gateway_core::bytewise::{self, is, is_below, is_not_ascii};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::redaction::{redact, redact_name};
use crate::config::LogFormat;
use crate::telemetry::{
    log_queue::LogWriter,
    request_view::{RequestView, ShownClient},
};

/// The level of every line.
const LEVEL: &str = "INFO";

/// Bytes that a thread keeps for its next line. Most lines need less than 450.
const KEPT_BYTES: usize = 4096;

thread_local! {
    /// Where this thread builds its lines: memory that is taken and given back for each line costs more than the line.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

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
    fn write(&self, line: &mut LineBuilder<'_>);
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
            let mut bytes = BUFFER.take();
            append(&mut bytes, self.format, OffsetDateTime::now_utc(), line);
            bytes.push(b'\n');
            match L::IS_WRITTEN_THROUGH {
                true => queue.line_through(&bytes),
                false => queue.line(&bytes),
            }
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
            BUFFER.set(bytes);
        }
    }
}

/// Appends the line without a line break, with a time stamp (RFC 3339).
fn append<L: LogLine>(bytes: &mut Vec<u8>, format: LogFormat, at: OffsetDateTime, line: &L) {
    let mut builder = LineBuilder { bytes, format };
    let request_id = Some(line.request().request_id).filter(|id| !id.is_empty());
    match format {
        LogFormat::Json => {
            builder.push("{\"timestamp\":\"");
            builder.time(at);
            builder.extend(["\",\"level\":\"", LEVEL]);
            if let Some(target) = L::TARGET {
                builder.extend(["\",\"target\":\"", target]);
            }
            builder.extend(["\",\"message\":\"", L::MESSAGE, "\""]);
            builder.field("request_id", request_id);
            line.write(&mut builder);
            builder.push("}");
        }
        LogFormat::Text => {
            builder.time(at);
            builder.extend(["  ", LEVEL]);
            if let Some(target) = L::TARGET {
                builder.extend([" ", target]);
            }
            line.write(&mut builder);
            builder.field("request_id", request_id);
        }
    }
}

/// A line without a line break, of the first second of 1970.
#[cfg(test)]
pub(crate) fn encode<L: LogLine>(format: LogFormat, line: &L) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, format, OffsetDateTime::UNIX_EPOCH, line);
    bytes
}

/// A line in one of the two formats: a JSON object; or values, then `key=value` pairs. Absent values are left out.
pub(crate) struct LineBuilder<'a> {
    bytes: &'a mut Vec<u8>,
    format: LogFormat,
}

impl LineBuilder<'_> {
    /// Adds a field, unless it is absent.
    pub(crate) fn field(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.key(key);
            self.value(value);
        }
    }

    /// Adds a number, unless it is absent.
    pub(crate) fn number(&mut self, key: &str, value: Option<impl Integer>) {
        if let Some(value) = value {
            self.key(key);
            self.integer(value);
        }
    }

    /// Adds a duration in milliseconds with a resolution of a microsecond, unless it is absent.
    pub(crate) fn milliseconds(&mut self, key: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.key(key);
            let microseconds = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
            self.integer(microseconds / 1000);
            self.bytes.push(b'.');
            for unit in [100, 10, 1] {
                self.bytes.push(digit(microseconds / unit));
            }
        }
    }

    /// Adds a field whose key is left out of text: its place says what it is.
    pub(crate) fn leading_field(&mut self, key: &str, value: &str) {
        self.leading_key(key);
        self.value(value);
    }

    /// Adds a number whose key is left out of text.
    pub(crate) fn leading_number(&mut self, key: &str, value: impl Integer) {
        self.leading_key(key);
        self.integer(value);
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
        self.key("client");
        self.quote();
        match request.client {
            ShownClient::Socket(SocketAddr::V4(address)) => {
                self.ipv4(*address.ip());
                self.bytes.push(b':');
                self.integer(address.port());
            }
            ShownClient::Address(IpAddr::V4(address)) => self.ipv4(address),
            other => self.display(other),
        }
        self.quote();
    }

    /// A quote around a value that needs none in a line of text.
    fn quote(&mut self) {
        if self.format == LogFormat::Json {
            self.bytes.push(b'"');
        }
    }

    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Json => {
                self.bytes.extend_from_slice(b",\"");
                self.push(key);
                self.bytes.extend_from_slice(b"\":");
            }
            LogFormat::Text => {
                self.bytes.push(b' ');
                self.push(key);
                self.bytes.push(b'=');
            }
        }
    }

    fn leading_key(&mut self, key: &str) {
        match self.format {
            LogFormat::Json => self.key(key),
            LogFormat::Text => self.bytes.push(b' '),
        }
    }

    /// A value, quoted and escaped where it could be read as something else.
    fn value(&mut self, value: &str) {
        let is_safe = match self.format {
            LogFormat::Json => !bytewise::any(value.as_bytes(), needs_escape),
            LogFormat::Text => !value.is_empty() && !bytewise::any(value.as_bytes(), needs_quotes),
        };
        match self.format {
            LogFormat::Json if is_safe => {
                self.bytes.push(b'"');
                self.push(value);
                self.bytes.push(b'"');
            }
            LogFormat::Json => self.push(&serde_json::to_string(value).unwrap_or_default()),
            LogFormat::Text if is_safe => self.push(value),
            LogFormat::Text => self.display(format_args!("\"{}\"", value.escape_default())),
        }
    }

    fn time(&mut self, time: OffsetDateTime) {
        // Writing to memory does not fail, and every time has this format.
        let _ = time.format_into(self.bytes, &Rfc3339);
    }

    /// Four decimal numbers. The formatter of the standard library costs as much as half a line.
    fn ipv4(&mut self, address: Ipv4Addr) {
        let [a, b, c, d] = address.octets();
        self.octet(a);
        for octet in [b, c, d] {
            self.bytes.push(b'.');
            self.octet(octet);
        }
    }

    fn octet(&mut self, octet: u8) {
        if octet >= 100 {
            self.bytes.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            self.bytes.push(b'0' + octet / 10 % 10);
        }
        self.bytes.push(b'0' + octet % 10);
    }

    fn integer(&mut self, value: impl Integer) {
        self.push(itoa::Buffer::new().format(value));
    }

    fn display(&mut self, value: impl Display) {
        // Writing to memory does not fail.
        let _ = write!(self.bytes, "{value}");
    }

    fn extend<const PARTS: usize>(&mut self, parts: [&str; PARTS]) {
        for part in parts {
            self.push(part);
        }
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// The last decimal digit.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or_default()
}

/// The property of a byte that needs an escape in a JSON string.
const fn needs_escape(word: u64) -> u64 {
    is_below(word, b' ') | is(word, b'"') | is(word, b'\\')
}

/// The property of a byte that needs quotes in a line of text: it is not visible, or not ASCII, or has a meaning there.
const fn needs_quotes(word: u64) -> u64 {
    let is_hidden = is_not_ascii(word) | is_below(word, b'!') | is(word, 0x7f);
    is_hidden | is(word, b'"') | is(word, b'=') | is(word, b'\\')
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

        fn write(&self, line: &mut LineBuilder<'_>) {
            line.leading_field("word", "word");
            line.field("value", self.value);
            line.number("count", Some(7));
            line.number("none", None::<u32>);
        }
    }

    fn line(value: Option<&str>) -> Line<'_> {
        let request = RequestView {
            request_id: "r1",
            client: ShownClient::Unknown,
            resource: None,
            endpoint: None,
            principal: None,
            method: None,
            mcp_method: None,
            mcp_name: None,
        };
        Line { request, value }
    }

    fn encoded(format: LogFormat, value: Option<&str>) -> String {
        String::from_utf8(encode(format, &line(value))).unwrap()
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
                format!("1970-01-01T00:00:00Z  INFO word value={expected} count=7 request_id=r1")
            );
        }
    }

    #[test]
    fn absent_values_are_left_out() {
        let text = encoded(LogFormat::Text, None);
        assert_eq!(
            text,
            "1970-01-01T00:00:00Z  INFO word count=7 request_id=r1"
        );
        let json = r#"{"timestamp":"1970-01-01T00:00:00Z","level":"INFO","message":"message","request_id":"r1","word":"word","count":7}"#;
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
            (70, "0.070"),
            (1_050, "1.050"),
            (1_500, "1.500"),
            (3_600_000_000, "3600000.000"),
        ] {
            let mut bytes = Vec::new();
            let format = LogFormat::Text;
            let mut builder = LineBuilder {
                bytes: &mut bytes,
                format,
            };
            builder.milliseconds("ms", Some(Duration::from_micros(microseconds)));
            assert_eq!(String::from_utf8(bytes).unwrap(), format!(" ms={expected}"));
        }
    }

    #[test]
    fn a_client_is_its_address_or_unknown() {
        let v4: SocketAddr = "203.0.113.9:80".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::7]:65535".parse().unwrap();
        for (client, expected) in [
            (ShownClient::Socket(v4), "203.0.113.9:80"),
            (ShownClient::Address(v4.ip()), "203.0.113.9"),
            (ShownClient::Socket(v6), "[2001:db8::7]:65535"),
            (ShownClient::Address(v6.ip()), "2001:db8::7"),
            (ShownClient::Unknown, "unknown"),
        ] {
            for (format, expected) in [
                (LogFormat::Json, format!(",\"client\":\"{expected}\"")),
                (LogFormat::Text, format!(" client={expected}")),
            ] {
                let mut request = line(None).request;
                request.client = client;
                let mut bytes = Vec::new();
                let mut builder = LineBuilder {
                    bytes: &mut bytes,
                    format,
                };
                builder.client(&request);
                assert_eq!(String::from_utf8(bytes).unwrap(), expected);
            }
        }
    }
}
