//! The access log: one line for each request, as JSON or as text, in the same output as the operational logs.
//!
//! A line says who called what, and the outcome. It has no token, no query and no body.

use mcp_gateway_core::refusal::reason::Reason;

use super::{
    log_line::{LineBuilder, LineWriter, LogLine},
    redaction::{redact, redact_detail, redact_unknown_path, redact_word},
};
use crate::config::Log;
use crate::telemetry::{
    log_queue::LogWriter,
    request_view::{BrokenBy, FinishedRequest, RequestView},
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
        self.lines.write(finished);
    }
}

impl LogLine for FinishedRequest<'_> {
    const TARGET: Option<&'static str> = None;
    const MESSAGE: &'static str = "request";
    const IS_WRITTEN_THROUGH: bool = false;

    fn request(&self) -> &RequestView<'_> {
        &self.request
    }

    fn write(&self, line: &mut LineBuilder<'_>) {
        let method = self.http_method.map(|method| redact(redact_word(method)));
        line.leading_number("status", self.status);
        line.leading_field("http_method", method.unwrap_or(NO_METHOD));
        line.field("path", Some(shown_path(self)));
        line.call(&self.request);
        line.field("reason", self.reason.map(Reason::label));
        line.caller(&self.request);
        line.field("resource", self.request.resource);
        line.field("endpoint", self.request.endpoint);
        let detail = self.detail.map(redact_detail);
        line.field("detail", detail.as_deref());
        // The `client`, the `upstream` or the `gateway` ended the answer early.
        line.field("broken_by", self.broken_by.map(BrokenBy::label));
        line.milliseconds("duration_ms", Some(self.duration));
        line.milliseconds("upstream_ms", self.upstream);
        line.number("bytes_sent", Some(self.bytes_sent));
        line.client(&self.request);
    }
}

fn shown_path<'a>(finished: &FinishedRequest<'a>) -> &'a str {
    match finished.request.resource {
        Some(_) => redact(finished.path),
        None => redact_unknown_path(finished.path),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        config::LogFormat,
        telemetry::{request_log::log_line::encode, request_view::ShownClient},
    };

    fn encoded(format: LogFormat, name: &str) -> Vec<u8> {
        let finished = FinishedRequest {
            request: RequestView {
                request_id: "r1",
                client: ShownClient::Unknown,
                resource: None,
                endpoint: None,
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
        encode(format, &finished)
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
