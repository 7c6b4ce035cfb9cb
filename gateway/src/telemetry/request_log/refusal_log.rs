//! Refusals in the operational log. The access log has them all, each with its request.

use std::time::Duration;

use mcp_gateway_core::refusal::reason::{Reason, Severity};

use super::redaction::redact;
use crate::telemetry::log_interval::LogInterval;

/// Lines about faults: one a second is enough to look at.
static FAULTS: LogInterval = LogInterval::every(Duration::from_secs(1));

/// Writes a line where somebody should look: an error for a fault, at debug level for what is suspicious.
pub(crate) fn write(request_id: &str, resource: &str, reason: Reason, detail: &str) {
    let (detail, label) = (redact(detail), reason.label());
    match reason.row().severity {
        Severity::Fault if FAULTS.is_due() => {
            let what = reason.row().description;
            tracing::error!(request_id, resource, reason = label, detail, "{what}");
        }
        Severity::Suspicious => {
            tracing::debug!(request_id, resource, reason = label, detail, "refused");
        }
        Severity::Fault | Severity::Expected => {}
    }
}
