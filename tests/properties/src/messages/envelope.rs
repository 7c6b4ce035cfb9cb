//! The envelope: policy decides about the same call that any parser of the body reads, a lenient one too.

use mcp_gateway_core::{
    json::JsonLimits,
    mcp::envelope::{Envelope, MessageKind},
    refusal::reason::Reason,
};

use crate::oracle::{self, Members};

/// Members of `params` that name what a method acts on.
const NAMING: &[(&str, &str)] = &[
    ("tools/call", "name"),
    ("prompts/get", "name"),
    ("resources/read", "uri"),
    ("resources/subscribe", "uri"),
    ("resources/unsubscribe", "uri"),
    ("tasks/get", "taskId"),
    ("tasks/update", "taskId"),
    ("tasks/cancel", "taskId"),
    ("tasks/result", "taskId"),
];

/// A request body.
pub fn envelope(body: &[u8]) {
    let limits = JsonLimits::default();
    match Envelope::read(body, &limits) {
        Ok(envelope) => accepted(body, &envelope, &limits),
        Err(unreadable) => {
            let reasons = [
                Reason::ParseError,
                Reason::JsonLimit,
                Reason::AmbiguousJson,
                Reason::AmbiguousName,
                Reason::InvalidRequest,
                Reason::VersionMissing,
            ];
            let reason = unreadable.fault.reason;
            assert!(reasons.contains(&reason), "{unreadable:?}");
            let parses = oracle::is_strict(body, limits.depth, limits.members);
            assert!(reason != Reason::ParseError || !parses, "it is JSON");
            // Beyond a limit nothing is read that could contradict.
            if let Some(id) = unreadable.id
                && reason != Reason::JsonLimit
            {
                let message = Members::of(std::str::from_utf8(body).unwrap()).expect("an object");
                assert_eq!(message.get("id"), Some(id.as_json()), "another id");
            }
        }
    }
}

fn accepted(body: &[u8], envelope: &Envelope<'_>, limits: &JsonLimits) {
    assert!(
        oracle::is_strict(body, limits.depth, limits.members),
        "ambiguous"
    );
    let message = Members::of(std::str::from_utf8(body).unwrap()).expect("an object");
    assert_eq!(message.text("jsonrpc").as_deref(), Some("2.0"));
    assert_eq!(message.text("method").as_deref(), envelope.method());
    assert_eq!(message.get("id"), envelope.id().map(|id| id.as_json()));
    let expected = match (envelope.method(), envelope.id()) {
        (Some(_), Some(_)) => MessageKind::Request,
        (Some(_), None) => MessageKind::Notification,
        (None, _) => MessageKind::Response,
    };
    assert_eq!(envelope.kind(), expected);
    let params = message
        .given("params")
        .map(|raw| Members::of(raw).expect("an object"));
    let member = NAMING
        .iter()
        .find(|(method, _)| envelope.method() == Some(method))
        .map(|(_, member)| *member);
    let name = member.and_then(|member| params.as_ref()?.text(member));
    assert_eq!(name.as_deref(), envelope.name());
    for lenient in [first, last] {
        assert_eq!(
            lenient(&message, "method").as_deref(),
            envelope.method(),
            "a lenient reader"
        );
        if let (Some(member), Some(params)) = (member, &params) {
            assert_eq!(
                lenient(params, member).as_deref(),
                envelope.name(),
                "a lenient reader"
            );
        }
    }
}

/// The first member that a parser reads as `name` if it ignores letter case and text after a NUL.
fn first(object: &Members, name: &str) -> Option<String> {
    let value = object.0.iter().find(|(own, _)| reads_as(own, name));
    serde_json::from_str(value?.1.get()).ok()
}

/// The last one.
fn last(object: &Members, name: &str) -> Option<String> {
    let value = object.0.iter().rfind(|(own, _)| reads_as(own, name));
    serde_json::from_str(value?.1.get()).ok()
}

fn reads_as(own: &str, name: &str) -> bool {
    let own = own.split('\0').next().unwrap_or_default();
    own.to_lowercase() == name.to_lowercase() || own.to_uppercase() == name.to_uppercase()
}
