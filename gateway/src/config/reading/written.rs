//! How a text is written in YAML: plain, in quotes, or as a block below its key, and so where a place within it stands.
//!
//! A block's places are counted from the line below its key. Only what the file has letter by letter is found.
//! Escapes, variables and folded lines with gaps between them make a
//! place unsure.

use super::position::Position;

/// In a text of one line, which begins at `start`.
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

/// Each line of the text is a line of the file, indented.
pub(super) fn in_literal(below: &[String], text: &str, place: Position) -> Option<Position> {
    let indent = indent(below)?;
    let line = place.line.checked_sub(1)?;
    let is_there = after(below.get(line)?, indent)? == text.lines().nth(line)?;
    is_there.then_some(place.right(indent))
}

/// Lines of the file, indented, are one line of the text with a space between each two.
pub(super) fn in_folded(below: &[String], text: &str, place: Position) -> Option<Position> {
    let indent = indent(below)?;
    let mut left = text.trim_end_matches('\n');
    let mut passed = 0;
    for (line, written) in (1..).zip(below) {
        let written = after(written, indent)?;
        left = left.strip_prefix(&*written)?;
        let length = written.chars().count();
        // The break after a line counts as the space that it is read as.
        if place.line == 1 && place.column <= passed + length + 1 {
            let column = place.column.checked_sub(passed)?;
            return Some(Position { line, column }.right(indent));
        }
        left = left.strip_prefix(' ')?;
        passed += length + 1;
    }
    None
}

/// The spaces before the first line that has anything else.
fn indent(below: &[String]) -> Option<usize> {
    let first = below.iter().find(|line| !line.trim().is_empty())?;
    Some(first.len() - first.trim_start_matches(' ').len())
}

fn after(line: &str, columns: usize) -> Option<String> {
    (line.chars().count() >= columns).then(|| line.chars().skip(columns).collect())
}
