//! Limits and timeouts, and which of them must not exceed another.

use mcp_gateway_core::http::client_address::Networks;

use super::addresses;
use crate::config::{
    declaration::{limits::Limits, parts::section::Settings, timeouts::Timeouts},
    reading::reader::Section,
};

/// The limits, and the addresses that are exempt from limits per address.
pub(super) fn limits(section: Section<'_>) -> (Limits, Networks) {
    let limits = Limits::read(&section);
    if limits.token_bytes > limits.header_bytes {
        section.report_at(
            "token_bytes",
            "must not exceed `header_bytes`, because the token is part of the header",
            "Lower it, or raise `header_bytes`",
        );
    }
    if limits
        .bodies_bytes
        .is_some_and(|all| all < limits.body_bytes)
    {
        section.report_at(
            "bodies_bytes",
            "must not be less than `body_bytes`",
            "Raise it, or lower `body_bytes`",
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
            "must not exceed `body_total`",
            "Lower it, or raise `body_total`",
        );
    }
    section.finish();
    timeouts
}
