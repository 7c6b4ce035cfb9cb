//! The limits of the reader, and why it refuses a document.

/// The limits beyond which a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Objects and arrays that may be open at once.
    pub depth: usize,
    /// Members of objects and elements of arrays, in the whole document.
    pub members: usize,
}

/// The configuration keys of the limits that an operator sets: `depth` and `members`.
pub const CONFIGURED: [&str; 2] = ["limits.json_depth", "limits.json_members"];

/// What takes the place of a key where a limit cannot be configured.
pub const FIXED: [&str; 2] = ["a fixed limit"; 2];

impl JsonLimits {
    /// Why a document is refused, for the operator: a limit with its value and its key.
    pub fn explain(&self, error: JsonError, [depth, members]: [&str; 2]) -> String {
        match error {
            JsonError::TooDeep => format!(
                "more than {} objects and arrays in one another ({depth})",
                self.depth
            ),
            JsonError::TooManyMembers => {
                format!(
                    "more than {} members and elements ({members})",
                    self.members
                )
            }
            error => error.to_string(),
        }
    }
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            depth: 64,
            members: 10_000,
        }
    }
}

impl JsonError {
    /// Whether the document is beyond a limit, and may be correct otherwise.
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::TooDeep | Self::TooManyMembers | Self::TooManyValues | Self::EscapedNames
        )
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
    /// More values than are stored ([`outline`](super::outline()), [`array_up_to`](super::array_up_to)).
    #[error("more values than are stored (a fixed limit)")]
    TooManyValues,
    /// Member names with escapes are longer together than [`MAX_ESCAPED_NAMES`](super::check::MAX_ESCAPED_NAMES).
    #[error("member names with escapes have more than 1048576 bytes together (a fixed limit)")]
    EscapedNames,
    /// An object has a member name twice, after unescaping (RFC 8259 §4 does not define which one counts).
    #[error("an object repeats a member name")]
    Duplicate,
    /// A member name has an escape for half of a surrogate pair. Readers replace it differently (RFC 8259 §8.2).
    #[error("a member name is not Unicode text")]
    NameNotText,
}
