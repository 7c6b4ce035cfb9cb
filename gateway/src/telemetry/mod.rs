//! What an operator sees: metrics, the access log, the audit log, operational logs. No token is ever written here.

mod audit_file;
pub(crate) mod authorization_event;
pub(crate) mod log_interval;
pub(crate) mod log_queue;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod request_log;
mod request_metrics;
pub(crate) mod request_view;
