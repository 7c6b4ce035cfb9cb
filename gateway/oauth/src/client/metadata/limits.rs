//! How large client metadata may be.

use mcp_gateway_core::json::JsonLimits;

/// The longest metadata that is read, in bytes: of a registration, and of a document.
pub const MAX_METADATA_BYTES: usize = 64 * 1024;

/// How deep and how large its JSON may be.
pub(super) const JSON_LIMITS: JsonLimits = JsonLimits {
    depth: 16,
    members: 2_000,
};
