//! Clients and grants as tables for people. Texts that a client chose are shown with their control characters escaped.

use mcp_gateway_core::time::UnixTime;

use crate::{
    authorization_server::control::protocol::{ClientLine, GrantLine},
    cli::table::{self, NOTHING, aligned, shown},
};

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
    table::date(UnixTime::new(seconds))
}

fn nothing() -> String {
    NOTHING.to_owned()
}
