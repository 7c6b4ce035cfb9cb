//! The lines about requests: one [`access_log`] line for each, one [`audit_log`] line for each decision, one
//! [`authorization_log`] line for each event at the built-in authorization server, and the [`refusal_log`] for refusals that need attention. [`log_line`] writes the fields they share; [`redaction`] removes what a
//! line must not hold.

pub(crate) mod access_log;
pub(crate) mod audit_log;
pub(crate) mod authorization_log;
mod log_line;
pub(crate) mod redaction;
pub(crate) mod refusal_log;
