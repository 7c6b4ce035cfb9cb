//! The limits of the reader, and why it refuses a document.

/// The limits beyond which a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Objects and arrays that may be open at once.
    pub depth: usize,
    /// Members of objects and elements of arrays, in the whole document.
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

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not one JSON document (RFC 8259).
    #[error("not one JSON document")]
    Syntax,
    /// Not UTF-8 (RFC 8259 §8.1).
    #[error("not UTF-8")]
    NotUtf8,
    /// More nested than `JsonLimits::depth`.
    #[error("nested too deeply")]
    TooDeep,
    /// More members and elements than `JsonLimits::members`.
    #[error("too many members and elements")]
    TooManyMembers,
    /// More values than an outline stores ([`outline`](super::outline())).
    #[error("too many values")]
    TooManyValues,
    /// An object has a member name twice, after unescaping (RFC 8259 §4 does not define which one counts).
    #[error("an object repeats a member name")]
    Duplicate,
    /// A member name has an escape for half of a surrogate pair. Readers replace it differently (RFC 8259 §8.2).
    #[error("a member name is not Unicode text")]
    NameNotText,
}
