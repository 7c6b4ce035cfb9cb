//! The strict JSON reader that every parser of client bytes shares.
//!
//! Two readers of one document must not be able to see different things in it, so what RFC 8259 leaves open is refused
//! here: repeated member names at any depth, names that are no Unicode text, a byte order mark, a second document. The
//! work is split in two. [`check()`] walks the whole document once and judges it; [`object()`], [`array()`] and [`string()`] then
//! re-read the few values a decision needs, borrowing from the body; [`outline()`] does both in one walk where much is to be
//! found. Numbers and texts nobody reads pass unread.

mod canonical;
mod check;
mod lexer;
mod names;
mod object;
mod outline;
mod text;

pub use canonical::canonical;
pub use check::check;
pub use names::names;
pub use object::{Object, array, object, span};
pub use outline::{Outline, Value, outline};
pub use text::string;

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

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not one JSON document (RFC 8259).
    #[error("not one JSON document")]
    Syntax,
    /// Not UTF-8 (RFC 8259 §8.1).
    #[error("not UTF-8")]
    NotUtf8,
    /// More nested than [`JsonLimits::depth`].
    #[error("nested too deeply")]
    TooDeep,
    /// More members than [`JsonLimits::members`].
    #[error("too many members")]
    TooManyMembers,
    /// More values than are remembered of one document.
    #[error("too many values")]
    TooManyValues,
    /// An object names a member twice, after unescaping (RFC 8259 §4 leaves open which one counts).
    #[error("a member name is repeated")]
    Duplicate,
    /// A member name escapes half of a surrogate pair: readers replace it differently (RFC 8259 §8.2).
    #[error("a member name is not Unicode text")]
    NameNotText,
}
