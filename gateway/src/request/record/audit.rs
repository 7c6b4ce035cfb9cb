//! The decision on a request that may change something: one audit line.
//!
//! The request is allowed when it is about to be sent to the upstream: after the policy, the rate limits and the session,
//! and before anything can have changed. A refusal after its reading and before that moment is the decision on it. Its
//! outcome is in the access log, under the same request id.

use mcp_gateway_core::{mcp::message::Message, refusal::Refusal};

use super::Record;
use crate::{
    shared::Gateway,
    telemetry::{
        authorization_event::AuthorizationEvent, request_log::authorization_log::AuthorizationLine,
    },
};

/// Expects a decision on the message, if it may change something and the audit log is on.
pub(crate) fn expect_decision(record: &mut Record, gateway: &Gateway, message: &Message) {
    if gateway.audit_log().is_on() {
        record.set_change(message);
    }
}

/// Writes that the request is allowed, if a decision is expected.
pub(crate) fn write_allowed(record: &mut Record, gateway: &Gateway) {
    write(record, gateway, None);
}

/// Writes that the request is refused, if a decision is expected and it was not allowed before.
pub(crate) fn write_refused(record: &mut Record, gateway: &Gateway, refusal: &Refusal) {
    write(record, gateway, Some(refusal));
}

fn write(record: &mut Record, gateway: &Gateway, refusal: Option<&Refusal>) {
    if let Some(decision) = record.take_decision(refusal) {
        gateway.audit_log().write(&decision);
    }
}

/// Writes an event at the authorization server.
pub(crate) fn write_authorization(record: &Record, gateway: &Gateway, event: &AuthorizationEvent) {
    let request = record.view();
    let line = AuthorizationLine { request, event };
    gateway.audit_log().write_authorization(&line);
}
