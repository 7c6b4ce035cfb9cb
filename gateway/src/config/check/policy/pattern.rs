//! Names with wildcards.

use mcp_gateway_core::policy::Pattern;

use crate::config::reading::reader::Item;

/// A name, which may contain `*` and `**`.
pub(crate) fn pattern(item: &Item<'_>) -> Option<Pattern> {
    item.parsed(
        Pattern::parse,
        "Write a name. * matches any characters except a slash, ** any characters",
    )
}
