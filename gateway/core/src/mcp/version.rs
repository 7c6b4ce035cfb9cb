//! Which era of MCP a message belongs to.
//!
//! Up to 2025-11-25 a client begins with `initialize`, and a session may follow. Since 2026-07-28 every request is independent
//! and its headers mirror its body. One endpoint may serve both.

use std::borrow::Cow;

/// The two shapes of Streamable HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// Up to 2025-11-25: `initialize` and sessions; headers do not mirror the body.
    Legacy,
    /// Since 2026-07-28: stateless, headers mirror the body.
    Modern,
}

/// The revisions of the legacy era. Every other version, known or not, belongs to the modern era.
pub const LEGACY: &[&str] = &[
    "2024-10-07",
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
];

/// The member of `params._meta` that carries the protocol version (MCP 2026-07-28, basic).
pub const META_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// A version to be stored. A legacy one, which nearly every client names, needs no memory.
pub fn stored(version: &str) -> Cow<'static, str> {
    legacy(version).map_or_else(|| Cow::Owned(version.to_owned()), Cow::Borrowed)
}

/// The legacy revision with this name.
fn legacy(version: &str) -> Option<&'static str> {
    // Most clients are of the last one.
    LEGACY.iter().rev().copied().find(|known| *known == version)
}

/// The era of a message, from its `MCP-Protocol-Version` header and the version in its `_meta`.
///
/// An absent header means 2025-03-26 (MCP 2025-11-25, transports), so a message without any version is legacy.
pub fn era(header: Option<&str>, meta: Option<&str>) -> Era {
    let legacy_header = header.is_none_or(|version| legacy(version).is_some());
    if legacy_header && meta.is_none() {
        Era::Legacy
    } else {
        Era::Modern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_version_is_stored_without_memory() {
        for version in LEGACY {
            assert!(matches!(stored(version), Cow::Borrowed(own) if own == *version));
        }
        for version in ["2026-07-28", "2025-11-2", "2025-11-250", ""] {
            assert!(matches!(stored(version), Cow::Owned(own) if own == version));
        }
    }

    #[test]
    fn the_era_follows_from_header_and_meta() {
        let cases = [
            (None, None, Era::Legacy),
            (Some("2024-10-07"), None, Era::Legacy),
            (Some("2024-11-05"), None, Era::Legacy),
            (Some("2025-03-26"), None, Era::Legacy),
            (Some("2025-06-18"), None, Era::Legacy),
            (Some("2025-11-25"), None, Era::Legacy),
            (Some("2026-07-28"), None, Era::Modern),
            (Some("2026-07-28"), Some("2026-07-28"), Era::Modern),
            (None, Some("2026-07-28"), Era::Modern),
            (None, Some("2025-06-18"), Era::Modern),
            (None, Some(""), Era::Modern),
            (Some("2025-06-18"), Some("2025-06-18"), Era::Modern),
            (Some("1900-01-01"), None, Era::Modern),
            (Some(""), None, Era::Modern),
            (Some("2025-06-18 "), None, Era::Modern),
            (Some("DRAFT-2025-11-25"), None, Era::Modern),
        ];
        for (header, meta, expected) in cases {
            assert_eq!(era(header, meta), expected, "{header:?} {meta:?}");
        }
    }
}
