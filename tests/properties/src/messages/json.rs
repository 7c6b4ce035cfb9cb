//! The strict JSON reader: it accepts exactly what every parser reads in the same way.

use mcp_gateway_core::json::{JsonLimits, check};

use crate::oracle;

/// Any document.
pub fn json(document: &[u8]) {
    let limits = JsonLimits {
        depth: 16,
        members: 200,
    };
    let accepted = check(document, &limits).is_ok();
    let expected = oracle::is_strict(document, limits.depth, limits.members);
    assert_eq!(accepted, expected, "the reader, and serde_json with a walk");
}
