//! Names with wildcards.

use mcp_gateway_core::policy::Pattern;

use crate::config::reading::reader::Item;

/// A text with `*` and `**` in it, or without.
pub(crate) fn pattern(item: &Item<'_>) -> Option<Pattern> {
    item.parsed(
        Pattern::parse,
        "Write a name, with * for what has no slash and ** for anything",
    )
}
