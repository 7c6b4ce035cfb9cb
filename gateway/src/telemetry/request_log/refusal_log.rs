//! Refusals in the operational log. The access log has all refusals, each with its request.

use std::time::Duration;

use mcp_gateway_core::refusal::reason::{Reason, Severity};

use super::redaction::redact_detail;
use crate::telemetry::log_interval::LogInterval;

/// Lines about faults: at most one per second.
static FAULTS: LogInterval = LogInterval::every(Duration::from_secs(1));

/// Writes a line for refusals that need attention: an error for a fault, at debug level for a suspicious request.
pub(crate) fn write(request_id: &str, resource: &str, reason: Reason, detail: &str) {
    let label = reason.label();
    match reason.row().severity {
        Severity::Fault if FAULTS.is_due() => {
            let what = reason.row().description;
            tracing::error!(
                request_id,
                resource,
                reason = label,
                detail = &*redact_detail(detail),
                "request refused: {what}"
            );
        }
        Severity::Suspicious => {
            tracing::debug!(
                request_id,
                resource,
                reason = label,
                detail = &*redact_detail(detail),
                "request refused"
            );
        }
        Severity::Fault | Severity::Expected => {}
    }
}
