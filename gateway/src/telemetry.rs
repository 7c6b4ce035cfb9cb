//! What an operator sees: metrics, the access log, operational logs. No token ever passes through here.

pub(crate) mod access_log;
pub(crate) mod log_queue;
pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod pace;
