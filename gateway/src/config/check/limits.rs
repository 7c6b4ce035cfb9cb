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
    check_shares(&limits, &section);
    let exempt = addresses::exempt(&section);
    section.finish();
    (limits, exempt)
}

/// A share of all bodies must suffice for one of them.
fn check_shares(limits: &Limits, section: &Section<'_>) {
    for (key, share) in [
        (
            "bodies_bytes_per_principal",
            limits.bodies_bytes_per_principal,
        ),
        ("bodies_bytes_per_address", limits.bodies_bytes_per_address),
    ] {
        if share.is_some_and(|share| share < limits.body_bytes) {
            section.report_at(
                key,
                "must not be less than `body_bytes`",
                "Raise it, or lower `body_bytes`",
            );
        }
    }
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
