//! The edits of one answer: what of it must not pass as it is.

use mcp_gateway_core::rewrite::edit::Edit;

/// An edit of a request's answer.
pub(crate) type Editing = Box<dyn Edit + Send + Sync>;

/// The edits of a request's answer as one.
pub(crate) fn both(one: Option<Editing>, other: Option<Editing>) -> Option<Editing> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Box::new((one, other))),
        (one, other) => one.or(other),
    }
}
