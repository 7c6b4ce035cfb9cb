//! The access log: one line for each request, as JSON or as text, in the same output as the operational logs.
//!
//! A line says who called what, and the outcome. It has no token, no query and no body.

use std::time::Duration;

use mcp_gateway_core::refusal::reason::Reason;
use serde::Serialize;

use super::{
    log_line::{
        CallFields, CallerFields, LineWriter, LogLine, OriginFields, PrincipalFields, TextLine,
    },
    redaction::{redact, redact_unknown_path, redact_word},
};
use crate::config::Log;
use crate::telemetry::{
    log_queue::LogWriter,
    request_view::{BrokenBy, FinishedRequest},
};

/// The HTTP method of a request whose head could not be read.
const NO_METHOD: &str = "-";

/// Writes access lines; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    lines: LineWriter,
}

impl AccessLog {
    /// A log in the output of `writer`, unless the configuration turns it off.
    pub(crate) fn new(log: &Log, writer: LogWriter) -> Self {
        Self {
            lines: LineWriter::new(log.access.then_some(writer), log.format),
        }
    }

    /// Writes the line of a finished request, unless the log is off.
    pub(crate) fn write(&self, finished: &FinishedRequest<'_>) {
        if self.lines.is_on() {
            let fields = CallerFields::new(&finished.request);
            self.lines.write(&AccessLine::new(finished, &fields));
        }
    }
}

/// A request and its outcome. Absent values are left out of the line.
#[derive(Serialize)]
struct AccessLine<'a> {
    #[serde(flatten)]
    origin: &'a OriginFields<'a>,
    http_method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(flatten)]
    call: &'a CallFields<'a>,
    #[serde(flatten)]
    principal: &'a PrincipalFields<'a>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
    bytes_sent: usize,
    /// The details of an error, for the operator only.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// The answer is not complete: the `client`, the `upstream` or the `gateway` ended it early.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_by: Option<&'static str>,
}

impl<'a> AccessLine<'a> {
    fn new(finished: &FinishedRequest<'a>, fields: &'a CallerFields<'a>) -> Self {
        let http_method = finished.http_method;
        let path = finished.path;
        Self {
            origin: &fields.origin,
            http_method: http_method.map_or(NO_METHOD, |method| redact(redact_word(method))),
            path: match fields.resource {
                Some(_) => redact(path),
                None => redact_unknown_path(path),
            },
            resource: fields.resource,
            call: &fields.call,
            principal: &fields.principal,
            status: finished.status,
            reason: finished.reason.map(Reason::label),
            duration_ms: milliseconds(finished.duration),
            upstream_ms: finished.upstream.map(milliseconds),
            bytes_sent: finished.bytes_sent,
            detail: finished.detail.map(redact),
            broken_by: finished.broken_by.map(BrokenBy::label),
        }
    }
}

impl LogLine for AccessLine<'_> {
    const TARGET: Option<&'static str> = None;
    const MESSAGE: &'static str = "request";
    const IS_WRITTEN_THROUGH: bool = false;

    fn write_text(&self, text: &mut TextLine) {
        text.word(&self.status.to_string());
        text.word(self.http_method);
        text.field("path", Some(self.path));
        text.call(self.call);
        text.field("reason", self.reason);
        text.principal(self.principal);
        text.field("resource", self.resource);
        text.field("detail", self.detail);
        text.field("broken_by", self.broken_by);
        text.number("duration_ms", Some(self.duration_ms));
        text.number("upstream_ms", self.upstream_ms);
        text.number("bytes_sent", Some(self.bytes_sent));
        text.origin(self.origin);
    }
}

/// Milliseconds with a resolution of a microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::LogFormat,
        telemetry::{request_log::log_line::encode, request_view::RequestView},
    };

    fn encoded(format: LogFormat, name: &str) -> Vec<u8> {
        let finished = FinishedRequest {
            request: RequestView {
                request_id: "r1",
                client: &"",
                resource: None,
                principal: None,
                method: None,
                mcp_method: None,
                mcp_name: Some(name),
            },
            http_method: Some("POST"),
            path: "/mcp",
            tool: None,
            listens: false,
            status: 200,
            reason: None,
            duration: Duration::ZERO,
            upstream: None,
            bytes_sent: 0,
            detail: None,
            broken_by: None,
        };
        let fields = CallerFields::new(&finished.request);
        let line = AccessLine::new(&finished, &fields);
        encode(format, "2026-01-01T00:00:00Z", &line)
    }

    const HOSTILE: &str = "evil\n\"name\u{1b}[31m";

    #[test]
    fn a_hostile_name_stays_within_its_json_line() {
        let bytes = encoded(LogFormat::Json, HOSTILE);
        assert!(!bytes.contains(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["mcp_name"], "evil\n\"name\u{1b}[31m");
    }

    #[test]
    fn a_hostile_name_stays_within_its_text_line() {
        let bytes = encoded(LogFormat::Text, HOSTILE);
        assert!(!bytes.contains(&b'\n') && !bytes.contains(&0x1b));
    }

    #[test]
    fn a_hostile_name_forges_no_field_of_a_text_line() {
        let bytes = encoded(LogFormat::Text, "subject=admin\u{9b}31m\u{202e}");
        assert!(!bytes.windows(9).any(|part| part == b" subject="));
        assert!(bytes.is_ascii());
    }

    #[test]
    fn absent_values_are_left_out() {
        let bytes = encoded(LogFormat::Json, HOSTILE);
        assert!(!String::from_utf8(bytes).unwrap().contains("subject"));
    }
}
