//! Maps a place within a text to its position in the YAML file. A text is written plain, in quotes, or as a block below its key.
//!
//! Positions in a block are counted from the line below its key. A position is found only where the file has the same letters
//! as the text: not after escapes, variables, or folded lines with gaps between them.

use super::position::Position;

/// The position in a text of one line that begins at `start`.
pub(super) fn in_line(
    lines: &[String],
    start: Position,
    text: &str,
    place: Position,
) -> Option<Position> {
    let line = lines.get(start.line.checked_sub(1)?)?;
    let is_there = after(line, start.column - 1)?.starts_with(text) && !text.contains('\n');
    is_there.then(|| start.right(place.column - 1))
}

/// The position in a literal block: each line of the text is an indented line of the file.
pub(super) fn in_literal(below: &[String], text: &str, place: Position) -> Option<Position> {
    let indent = indent(below)?;
    let line = place.line.checked_sub(1)?;
    let is_there = after(below.get(line)?, indent)? == text.lines().nth(line)?;
    is_there.then_some(place.right(indent))
}

/// The position in a folded block: indented lines of the file, joined by spaces, are one line of the text.
pub(super) fn in_folded(below: &[String], text: &str, place: Position) -> Option<Position> {
    let indent = indent(below)?;
    let mut left = text.trim_end_matches('\n');
    let mut passed = 0;
    for (line, written) in (1..).zip(below) {
        let written = after(written, indent)?;
        left = left.strip_prefix(&*written)?;
        let length = written.chars().count();
        // The line break counts as one space, because it is read as a space.
        if place.line == 1 && place.column <= passed + length + 1 {
            let column = place.column.checked_sub(passed)?;
            return Some(Position { line, column }.right(indent));
        }
        left = left.strip_prefix(' ')?;
        passed += length + 1;
    }
    None
}

/// The indent of the first line that is not blank.
fn indent(below: &[String]) -> Option<usize> {
    let first = below.iter().find(|line| !line.trim().is_empty())?;
    Some(first.len() - first.trim_start_matches(' ').len())
}

fn after(line: &str, columns: usize) -> Option<String> {
    (line.chars().count() >= columns).then(|| line.chars().skip(columns).collect())
}
