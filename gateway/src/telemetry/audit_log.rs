//! One line for each decision on a request that may change something: as JSON in a file of its own, or among the log's
//! lines in their format.
//!
//! A line says who may or may not do what, and what decided it. It is written when the decision falls, before the upstream is
//! asked. It holds no token and no argument; names and subjects are cut as in the access log.

use std::io;

use prometheus::IntCounter;
use serde::Serialize;

use super::{
    access_log::{plain, timestamp},
    audit_file::AuditFile,
    log_queue::{LastLines, LogWriter},
};
use crate::config::{Audit, Log, LogFormat};

/// Writes audit lines.
#[derive(Debug)]
pub(crate) struct AuditLog {
    writer: Option<LogWriter>,
    format: LogFormat,
}

/// One decision. Absent values are left out of the line.
#[derive(Debug, Default, Serialize)]
pub(crate) struct AuditLine<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) client: &'a str,
    pub(crate) resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<&'a str>,
    /// `call`, `answer` or `session_end`.
    pub(crate) change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mcp_version: Option<&'a str>,
    /// `allowed` or `refused`.
    pub(crate) decision: &'static str,
    /// What the policy decided by: `rules[3]`, `default` or `required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// Why it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    /// The scopes the call takes and the caller lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missing_scopes: Option<String>,
}

#[derive(Serialize)]
struct Stamped<'a> {
    timestamp: &'a str,
    level: &'static str,
    target: &'static str,
    message: &'static str,
    #[serde(flatten)]
    line: &'a AuditLine<'a>,
}

impl AuditLog {
    /// A log that writes to its file, or where `beside` does; and what keeps the last lines of the file. Lines that the file
    /// does not take are counted in `dropped`.
    ///
    /// # Errors
    /// The file cannot be opened, or the system gives no thread.
    pub(crate) fn start(
        audit: &Audit,
        (log, beside): (&Log, LogWriter),
        dropped: IntCounter,
    ) -> io::Result<(Self, Option<LastLines>)> {
        let file = audit.file.as_deref().filter(|_| audit.enabled);
        let Some(file) = file else {
            let among = Self {
                writer: audit.enabled.then_some(beside),
                format: log.format,
            };
            return Ok((among, None));
        };
        let writer = LogWriter::start(AuditFile::open(file)?, dropped, say_dropped)?;
        let last = LastLines::of(writer.clone());
        let own = Self {
            writer: Some(writer),
            format: LogFormat::Json,
        };
        Ok((own, Some(last)))
    }

    /// Whether lines are written at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// Writes one line. A full queue drops it.
    pub(crate) fn write(&self, line: &AuditLine<'_>) {
        if let Some(writer) = &self.writer {
            let timestamp = timestamp();
            let mut text = match self.format {
                LogFormat::Json => json(&timestamp, line),
                LogFormat::Text => text(&timestamp, line),
            };
            text.push(b'\n');
            writer.line(text);
        }
    }
}

fn json(timestamp: &str, line: &AuditLine<'_>) -> Vec<u8> {
    let stamped = Stamped {
        timestamp,
        level: "INFO",
        target: "audit",
        message: "decision",
        line,
    };
    serde_json::to_vec(&stamped).unwrap_or_default()
}

/// Like a line of the access log, `audit` in front.
fn text(timestamp: &str, line: &AuditLine<'_>) -> Vec<u8> {
    let mut out = format!("{timestamp}  INFO audit {} {}", line.decision, line.change);
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.extend([" ", name, &plain(value)]);
        }
    };
    say("method=", line.mcp_method);
    say("name=", line.mcp_name);
    say("rule=", line.rule.as_deref());
    say("reason=", line.reason);
    say("missing_scopes=", line.missing_scopes.as_deref());
    say("subject=", line.subject);
    say("client_id=", line.client_id);
    say("issuer=", line.issuer);
    say("resource=", Some(line.resource));
    say("version=", line.mcp_version);
    say("client=", Some(line.client));
    say("request_id=", Some(line.request_id));
    out.into_bytes()
}

fn say_dropped(lines: u64) {
    tracing::error!(
        lines,
        "audit lines were dropped: their file could not be written, or not fast enough"
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
    use super::*;

    const HOSTILE: &str = "evil\n\"decision\":\"allowed\" rule=x\u{1b}[31m\u{202e}";

    fn line() -> AuditLine<'static> {
        AuditLine {
            mcp_name: Some(HOSTILE),
            decision: "refused",
            change: "call",
            ..AuditLine::default()
        }
    }

    #[test]
    fn a_hostile_name_stays_within_its_json_line() {
        let bytes = json("2026-01-01T00:00:00Z", &line());
        assert!(!bytes.contains(&b'\n') && !bytes.contains(&0x1b));
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["mcp_name"], HOSTILE);
        assert_eq!(value["decision"], "refused");
        assert!(value.get("subject").is_none());
    }

    #[test]
    fn a_hostile_name_stays_within_its_text_line() {
        let line = String::from_utf8(text("2026-01-01T00:00:00Z", &line())).unwrap();
        assert!(line.starts_with("2026-01-01T00:00:00Z  INFO audit refused call name=\"evil\\n"));
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
    }
}
