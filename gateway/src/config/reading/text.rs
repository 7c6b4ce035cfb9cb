//! Differences between text files with the same content: the byte order mark and the line ends.

/// Some editors write it at the start of a file (allowed by YAML 1.2 §5.2).
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text whose lines end with only a line feed. A carriage return also ends a line in YAML (YAML 1.2 §5.4).
pub(super) fn unix(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
