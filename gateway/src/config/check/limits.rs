//! Limits and timeouts: which of them must not exceed which.

use mcp_gateway_core::http::client_address::Networks;

use super::addresses;
use crate::config::{
    declaration::{limits::Limits, parts::section::Settings, timeouts::Timeouts},
    reading::reader::Section,
};

/// The limits, and the addresses that limits by address leave alone.
pub(super) fn limits(section: Section<'_>) -> (Limits, Networks) {
    let limits = Limits::read(&section);
    if limits.token_bytes > limits.header_bytes {
        section.report_at(
            "token_bytes",
            "is more than header_bytes, so that no such token could arrive",
            "Lower it, or raise header_bytes",
        );
    }
    if limits
        .bodies_bytes
        .is_some_and(|all| all < limits.body_bytes)
    {
        section.report_at(
            "bodies_bytes",
            "is less than body_bytes, so that no body of that size could arrive",
            "Raise it, or lower body_bytes",
        );
    }
    let exempt = addresses::exempt(&section);
    section.finish();
    (limits, exempt)
}

/// The deadlines and idle times.
pub(super) fn timeouts(section: Section<'_>) -> Timeouts {
    let timeouts = Timeouts::read(&section);
    if timeouts.body_idle > timeouts.body_total {
        section.report_at(
            "body_idle",
            "is longer than body_total, so that it would never be reached",
            "Lower it, or raise body_total",
        );
    }
    section.finish();
    timeouts
}
