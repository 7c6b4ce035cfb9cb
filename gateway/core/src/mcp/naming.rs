//! What a method acts on: the member of `params` that names it, and when `Mcp-Name` mirrors that member.

/// When `Mcp-Name` must stand on a request of the modern era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// It must be there and equal.
    Required,
    /// It must be equal where it is there. These methods are of the legacy era alone.
    IfPresent,
    /// It is forwarded unread.
    Never,
}

/// How a method names what it acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Naming {
    /// The member of `params`.
    pub(crate) member: &'static str,
    /// Whether `Mcp-Name` mirrors it.
    pub(crate) mirror: Mirror,
}

/// The naming of a method; `None` where it names nothing that a policy speaks of.
///
/// MCP 2026-07-28, Streamable HTTP, *Standard Request Headers*; the tasks extension for `tasks/*`.
pub(crate) fn naming(method: &str) -> Option<Naming> {
    let (member, mirror) = match method {
        "tools/call" | "prompts/get" => ("name", Mirror::Required),
        "resources/read" => ("uri", Mirror::Required),
        "resources/subscribe" | "resources/unsubscribe" => ("uri", Mirror::IfPresent),
        "tasks/get" | "tasks/update" | "tasks/cancel" => ("taskId", Mirror::Required),
        "tasks/result" => ("taskId", Mirror::Never),
        _ => return None,
    };
    Some(Naming { member, mirror })
}
