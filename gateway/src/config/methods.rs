//! The methods that a client may send, as far as a policy can speak of them.

use mcp_gateway_core::{mcp::method::McpMethod, similar};

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

/// Every method of MCP up to 2026-07-28 and its tasks extension, without the notifications.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, MethodKind)> {
    let requests = McpMethod::ALL
        .iter()
        .filter(|method| !method.is_notification());
    requests.map(|method| (method.name(), kind_of(*method)))
}

/// What a rule can say about `method`; `None` where MCP has no such method.
pub(crate) fn kind(method: &str) -> Option<MethodKind> {
    let method = McpMethod::of(method);
    (method.is_known() || method.is_notification()).then(|| kind_of(method))
}

fn kind_of(method: McpMethod) -> MethodKind {
    if method.is_always_open() {
        MethodKind::AlwaysOpen
    } else if method.is_sent_by_servers() {
        MethodKind::FromServer
    } else if method.target().is_some() {
        MethodKind::Named
    } else {
        MethodKind::Nameless
    }
}

/// The method that a word which is none may have meant.
pub(crate) fn mistyped(method: &str) -> Option<&'static str> {
    match kind(method) {
        Some(_) => None,
        None => similar::nearest(method, all().map(|(name, _)| name)),
    }
}
