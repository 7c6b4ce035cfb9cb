//! The audit log: one line for each decision on a request that may change something, as JSON in its own file, or in the
//! output of the operational log in its format.
//!
//! A line says who may or may not do what, and what decided it. It is queued at the decision, before the request is sent to
//! the upstream, and written without a pause. It has no token and no argument.

use std::io;

use mcp_gateway_core::refusal::reason::Reason;
use prometheus::IntCounter;

use super::{
    authorization_log::AuthorizationLine,
    log_line::{LineBuilder, LineWriter, LogLine},
    redaction::redact,
};
use crate::config::{Audit, Log, LogFormat};
use crate::telemetry::{
    audit_file::AuditFile,
    authorization_event::AuthorizationEvent,
    log_queue::{LastLines, LogWriter},
    metrics::NO_RESOURCE,
    request_view::{Decision, RequestView},
};

/// Writes audit lines.
#[derive(Debug)]
pub(crate) struct AuditLog {
    lines: LineWriter,
}

impl AuditLog {
    /// A log that writes to its file, or to the output of `beside`; and the guard that writes the last lines of the file.
    /// Lines that cannot be written to the file are counted in `dropped`.
    ///
    /// # Errors
    /// The file cannot be opened, or the system provides no thread.
    pub(crate) fn start(
        audit: &Audit,
        (log, beside): (&Log, LogWriter),
        dropped: IntCounter,
    ) -> io::Result<(Self, Option<LastLines>)> {
        let file = audit.file.as_deref().filter(|_| audit.enabled);
        let Some(file) = file else {
            let lines = LineWriter::new(audit.enabled.then_some(beside), log.format);
            return Ok((Self { lines }, None));
        };
        let writer = LogWriter::start(AuditFile::open(file)?, dropped, say_dropped)?;
        let last = LastLines::of(writer.clone());
        let lines = LineWriter::new(Some(writer), LogFormat::Json);
        Ok((Self { lines }, Some(last)))
    }

    /// Whether lines are written at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.lines.is_on()
    }

    /// Writes the line of a decision, unless the log is off.
    pub(crate) fn write(&self, decision: &Decision<'_>) {
        self.lines.write(decision);
    }

    /// Writes the line of an event at the authorization server, unless the log is off.
    pub(crate) fn write_authorization(&self, line: &AuthorizationLine<'_>) {
        self.lines.write(line);
    }

    /// The same for an event that no request caused.
    pub(crate) fn note_authorization(&self, event: &AuthorizationEvent) {
        let request = RequestView::NONE;
        self.write_authorization(&AuthorizationLine { request, event });
    }
}

impl LogLine for Decision<'_> {
    const TARGET: Option<&'static str> = Some("audit");
    const MESSAGE: &'static str = "decision";
    const IS_WRITTEN_THROUGH: bool = true;

    fn request(&self) -> &RequestView<'_> {
        &self.request
    }

    fn write(&self, line: &mut LineBuilder<'_>) {
        let decision = match self.refused {
            None => "allowed",
            Some(_) => "refused",
        };
        let rule = self.source.map(|source| source.to_string());
        line.leading_field("decision", decision);
        line.leading_field("change", self.change.label());
        line.call(&self.request);
        line.field("rule", rule.as_deref());
        line.field("decision_point", self.point.map(|(name, _)| name));
        let answer = self.point.map(|(_, answer)| answer.label());
        line.field("decision_point_answer", answer);
        line.field("reason", self.refused.map(Reason::label));
        line.field("missing_scopes", self.missing_scopes.as_deref());
        line.caller(&self.request);
        let resource = self.request.resource.unwrap_or(NO_RESOURCE);
        line.field("resource", Some(resource));
        line.field("endpoint", self.request.endpoint);
        line.field("mcp_version", self.mcp_version.map(redact));
        line.client(&self.request);
    }
}

fn say_dropped(lines: u64) {
    tracing::error!(
        lines,
        "audit lines dropped: writing the audit log failed (disk full?) or was too slow (audit.file)"
    );
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::mcp::change::Change;

    use super::*;
    use crate::telemetry::{request_log::log_line::encode, request_view::ShownClient};

    const HOSTILE: &str = "evil\n\"decision\":\"allowed\" rule=x\u{1b}[31m\u{202e}";

    fn encoded(format: LogFormat) -> Vec<u8> {
        let decision = Decision {
            request: RequestView {
                request_id: "",
                client: ShownClient::Unknown,
                resource: None,
                endpoint: None,
                principal: None,
                method: None,
                mcp_method: None,
                mcp_name: Some(HOSTILE),
            },
            change: Change::Call,
            mcp_version: None,
            source: None,
            point: None,
            refused: Some(Reason::PolicyDenied),
            missing_scopes: None,
        };
        encode(format, &decision)
    }

    #[test]
    fn a_hostile_name_stays_within_its_json_line() {
        let bytes = encoded(LogFormat::Json);
        assert!(!bytes.contains(&b'\n') && !bytes.contains(&0x1b));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["mcp_name"], HOSTILE);
        assert_eq!(value["decision"], "refused");
        assert!(value.get("subject").is_none());
    }

    #[test]
    fn a_hostile_name_stays_within_its_text_line() {
        let line = String::from_utf8(encoded(LogFormat::Text)).unwrap();
        assert!(
            line.starts_with("1970-01-01T00:00:00Z  INFO audit refused call mcp_name=\"evil\\n")
        );
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
    }
}
