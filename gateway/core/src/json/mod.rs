//! The strict JSON reader that every parser of client bytes shares.
//!
//! Two readers must not be able to read one document differently. So everything that RFC 8259 leaves open is refused: repeated
//! member names at any depth, names that are not Unicode text, a byte order mark, a second document. The work has two steps.
//! [`check()`] walks the whole document once and checks it. [`object()`], [`array()`] and [`string()`] then read the few values
//! that a decision needs, borrowing from the body. [`members()`] and [`outline()`] do both in one walk, for messages and for documents
//! of which many values are needed. Numbers and texts that are not needed are not decoded.

mod canonical;
mod check;
mod checked_object;
mod lexer;
mod limits;
mod members;
pub mod names;
pub(crate) mod number;
mod object;
mod outline;
mod splice;
mod text;
#[cfg(test)]
pub(crate) mod walks;

pub use canonical::canonical;
pub use check::check;
pub(crate) use checked_object::checked_object;
pub use limits::{CONFIGURED, FIXED, JsonError, JsonLimits};
pub use members::{Members, members};
pub use names::{Names, names};
pub(crate) use object::array_up_to;
pub use object::{Object, array, object, span};
pub use outline::{Outline, OutlineValue, outline};
pub use splice::Splices;
pub use text::string;
