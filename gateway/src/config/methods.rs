//! The methods that a client may send, as far as a policy can speak of them.

use mcp_gateway_core::similar;

/// What a rule can say about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MethodKind {
    /// Takes the required scopes only; no rule is ever asked.
    AlwaysOpen,
    /// Acts on something that has a name.
    Named,
    /// Acts on nothing that a rule could name.
    Nameless,
    /// Goes from the server to the client.
    FromServer,
}

use MethodKind::{AlwaysOpen, FromServer, Named, Nameless};

/// Every method of MCP up to 2026-07-28 and its tasks extension.
pub(crate) const METHODS: [(&str, MethodKind); 23] = [
    ("initialize", AlwaysOpen),
    ("ping", AlwaysOpen),
    ("server/discover", AlwaysOpen),
    ("tools/list", Nameless),
    ("tools/call", Named),
    ("prompts/list", Nameless),
    ("prompts/get", Named),
    ("resources/list", Nameless),
    ("resources/read", Named),
    ("resources/subscribe", Named),
    ("resources/unsubscribe", Named),
    ("resources/templates/list", Nameless),
    ("completion/complete", Nameless),
    ("logging/setLevel", Nameless),
    ("subscriptions/listen", Nameless),
    ("tasks/list", Nameless),
    ("tasks/get", Named),
    ("tasks/result", Named),
    ("tasks/update", Named),
    ("tasks/cancel", Named),
    ("sampling/createMessage", FromServer),
    ("elicitation/create", FromServer),
    ("roots/list", FromServer),
];

/// What a rule can say about `method`; `None` where MCP has no such method.
pub(crate) fn kind(method: &str) -> Option<MethodKind> {
    if method.starts_with("notifications/") {
        return Some(AlwaysOpen);
    }
    METHODS
        .iter()
        .find(|(name, _)| *name == method)
        .map(|(_, kind)| *kind)
}

/// The method that a word which is none may have meant.
pub(crate) fn mistyped(method: &str) -> Option<&'static str> {
    match kind(method) {
        Some(_) => None,
        None => similar::nearest(method, METHODS.iter().map(|(name, _)| *name)),
    }
}
