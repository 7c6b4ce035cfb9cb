//! What differs between text files that say the same: a mark at their beginning, and how their lines end.

/// Some editors begin a file with it, which YAML 1.2 §5.2 allows.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text whose lines end with a line feed alone; a carriage return ends a line of YAML too (YAML 1.2 §5.4).
pub(super) fn unix(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
