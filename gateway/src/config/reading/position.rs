//! A place in the configuration file.

use saphyr_parser::Marker;

use super::text::unix;

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

impl Position {
    /// This position, moved down by `lines`.
    pub(super) const fn below(self, lines: usize) -> Self {
        Self {
            line: self.line + lines,
            ..self
        }
    }

    /// This position, moved right by `columns` characters.
    pub(super) const fn right(self, columns: usize) -> Self {
        Self {
            column: self.column + columns,
            ..self
        }
    }

    /// The end of a text.
    pub(super) fn end_of(text: &str) -> Self {
        let text = unix(text);
        Self {
            line: text.lines().count().max(1),
            column: text.lines().last().unwrap_or_default().chars().count() + 1,
        }
    }

    /// This position, or the end of the text if it is after it: the parser adds a line end to the last line.
    pub(super) const fn not_after(self, end: Self) -> Self {
        if self.line > end.line { end } else { self }
    }

    /// This position, or the end of its line if it is after it: the parser miscounts at some control characters.
    pub(super) fn in_line_of(self, text: &str) -> Self {
        let text = unix(text);
        let line = text.lines().nth(self.line.saturating_sub(1));
        Self {
            column: self
                .column
                .min(line.unwrap_or_default().chars().count() + 1),
            ..self
        }
    }
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}
