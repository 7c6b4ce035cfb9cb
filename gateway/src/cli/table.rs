//! Tables for people at a terminal: columns that are aligned, and texts in which no character commands the terminal.

use mcp_gateway_core::time::UnixTime;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What is shown where there is nothing.
pub(super) const NOTHING: &str = "-";

/// The most characters of a cell.
const MAX_CELL: usize = 100;

/// A time, in UTC.
pub(super) fn date(at: UnixTime) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at.secs()).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| NOTHING.to_owned())
}

/// A text on one line of a terminal.
pub(super) fn shown(text: &str) -> String {
    let escaped = text.chars().flat_map(|character| {
        let is_plain = matches!(character, '"' | '\'' | '\\');
        let plain = is_plain.then_some(character);
        let escaped = (!is_plain).then(|| character.escape_debug());
        plain.into_iter().chain(escaped.into_iter().flatten())
    });
    let mut shown: String = escaped.take(MAX_CELL).collect();
    if shown.is_empty() {
        shown.push_str(NOTHING);
    }
    shown
}

/// Rows with aligned columns, with their head unless it was shown before.
pub(super) fn aligned<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    has_head: bool,
) -> String {
    let head = has_head.then(|| head.map(str::to_owned));
    let rows: Vec<_> = head.into_iter().chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}
