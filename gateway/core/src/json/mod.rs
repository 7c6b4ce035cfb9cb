//! The strict JSON reader that every parser of client bytes shares.
//!
//! Two readers of one document must not be able to see different things in it, so what RFC 8259 leaves open is refused
//! here: repeated member names at any depth, names that are no Unicode text, a byte order mark, a second document. The
//! work is split in two. [`check()`] walks the whole document once and judges it; [`object()`], [`array()`] and [`string()`] then
//! re-read the few values a decision needs, borrowing from the body; [`members()`] and [`outline()`] do both in one walk, for
//! messages and where much is to be found. Numbers and texts nobody reads pass unread.

mod canonical;
mod check;
mod lexer;
mod limits;
mod members;
pub mod names;
mod object;
mod outline;
mod splice;
mod text;
#[cfg(test)]
pub(crate) mod walks;

pub use canonical::canonical;
pub use check::check;
pub use limits::{JsonError, JsonLimits};
pub use members::{Members, members};
pub use names::{Names, names};
pub use object::{Object, array, object, span};
pub use outline::{Outline, OutlineValue, outline};
pub use splice::Splices;
pub use text::string;
