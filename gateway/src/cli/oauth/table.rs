//! Clients and grants as tables for people. Texts that a client chose are shown with their control characters escaped.

use mcp_gateway_core::time::UnixTime;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::authorization_server::control::protocol::{ClientLine, GrantLine};

/// What is shown where there is nothing.
const NOTHING: &str = "-";

/// The most characters of a cell.
const MAX_CELL: usize = 100;

/// A table of clients, with its head for the first page.
pub(super) fn of_clients(lines: &[ClientLine], has_head: bool) -> String {
    let head = [
        "ID",
        "NAME",
        "ORIGIN",
        "METHOD",
        "REGISTERED",
        "USED",
        "REDIRECT URIS",
    ];
    let used = |is_used| if is_used { "yes" } else { "no" };
    let rows = lines.iter().map(|client| {
        [
            shown(&client.id),
            client.name.as_deref().map_or_else(nothing, shown),
            shown(&client.origin),
            shown(&client.method),
            client.registered.map_or_else(nothing, date),
            client.is_used.map_or(NOTHING, used).to_owned(),
            shown(&client.redirect_uris.join(" ")),
        ]
    });
    aligned(head, rows, has_head)
}

/// A table of grants, with its head for the first page.
pub(super) fn of_grants(lines: &[GrantLine], has_head: bool, now: UnixTime) -> String {
    let head = [
        "ID", "CLIENT", "SUBJECT", "RESOURCE", "SCOPES", "CREATED", "ENDS", "STATE",
    ];
    let rows = lines.iter().map(|grant| {
        [
            shown(&grant.id),
            shown(&grant.client),
            shown(&grant.subject),
            shown(&grant.resource),
            shown(&grant.scopes),
            date(grant.created),
            date(grant.ends),
            state(grant, now),
        ]
    });
    aligned(head, rows, has_head)
}

fn state(grant: &GrantLine, now: UnixTime) -> String {
    let why = grant.ended_by.map(serde_json::to_value);
    match why {
        Some(why) => {
            let why = why.unwrap_or_default();
            format!("ended: {}", why.as_str().unwrap_or(NOTHING))
        }
        None if grant.ends <= now.secs() => "expired".to_owned(),
        None => "alive".to_owned(),
    }
}

fn date(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = time.and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(nothing)
}

fn nothing() -> String {
    NOTHING.to_owned()
}

/// A text on one line of a terminal.
fn shown(text: &str) -> String {
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

fn aligned<const N: usize>(
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
