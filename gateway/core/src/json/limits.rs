//! How much of a document the reader takes.

/// How much of a document is read before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Objects and arrays that may be open at once.
    pub depth: usize,
    /// Object members in the whole document.
    pub members: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            depth: 64,
            members: 10_000,
        }
    }
}
