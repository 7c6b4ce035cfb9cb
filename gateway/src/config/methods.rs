//! The MCP methods, and which of them the rules of a policy apply to.

use mcp_gateway_core::{mcp::method::McpMethod, similar};

/// How rules apply to a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MethodKind {
    /// Requires only the required scopes; rules do not apply.
    AlwaysOpen,
    /// Has a target with a name.
    Named,
    /// Has no target that a rule could name.
    Nameless,
    /// Is sent from the server to the client.
    FromServer,
}

/// Every method of MCP up to 2026-07-28 and its tasks extension, without notifications.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, MethodKind)> {
    let requests = McpMethod::ALL
        .iter()
        .filter(|method| !method.is_notification());
    requests.map(|method| (method.name(), kind_of(*method)))
}

/// How rules apply to `method`; `None` where MCP has no such method.
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

/// The most similar method, for a word that is not an MCP method.
pub(crate) fn mistyped(method: &str) -> Option<&'static str> {
    match kind(method) {
        Some(_) => None,
        None => similar::nearest(method, all().map(|(name, _)| name)),
    }
}
