//! What an operator sees: metrics, the access log, the audit log, operational logs. No token ever passes through here.

pub(crate) mod access_log;
mod audit_file;
pub(crate) mod audit_log;
pub(crate) mod log_interval;
mod log_line;
pub(crate) mod log_queue;
pub(crate) mod logging;
pub(crate) mod metrics;
mod redaction;
pub(crate) mod refusal_log;
mod request_metrics;
pub(crate) mod request_view;
