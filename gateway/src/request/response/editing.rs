//! The edits of one answer: what of it must not pass as it is.

use mcp_gateway_core::rewrite::edit::Edit;

/// An edit of a request's answer.
pub(crate) type Editing = Box<dyn Edit + Send + Sync>;

/// The edits of a request's answer as one.
pub(crate) fn combine(first: Option<Editing>, second: Option<Editing>) -> Option<Editing> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Box::new((first, second))),
        (first, second) => first.or(second),
    }
}
