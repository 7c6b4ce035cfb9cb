//! The keys of a file, as a table for people or as lines for programs.

use mcp_gateway_core::{
    time::UnixTime,
    token::api_key::entry::{KeyEntry, NEVER, Opens},
};

use crate::{
    cli::table::{self, NOTHING, aligned, shown},
    config::api_keys::{file::NumberedKey, line},
};

/// Bytes of a digest that are shown, as in the detail of an access line.
const SHOWN: usize = 6;

/// All keys.
pub(super) fn text(keys: &[NumberedKey], is_json: bool, now: UnixTime) -> String {
    let keys = keys.iter().map(|(_, key)| key);
    match is_json {
        true => keys.map(|key| format!("{}\n", line::write(key))).collect(),
        false => {
            let head = [
                "NAME",
                "SUBJECT",
                "SCOPES",
                "RESOURCES",
                "CREATED",
                "EXPIRES",
                "STATE",
                "SHA256",
            ];
            aligned(head, keys.map(|key| row(key, now)), true)
        }
    }
}

fn row(key: &KeyEntry, now: UnixTime) -> [String; 8] {
    let state = if key.is_over(now) { "expired" } else { "alive" };
    let resources = match &key.resources {
        Opens::Every => "all".to_owned(),
        Opens::These(named) => shown(&named.join(" ")),
    };
    let expires = match key.expires {
        NEVER => "never".to_owned(),
        at => table::date(at),
    };
    let digest = key.digest.iter().take(SHOWN);
    [
        shown(&key.name),
        shown(&key.principal.subject),
        shown(&key.principal.scopes.to_string()),
        resources,
        key.created.map_or_else(|| NOTHING.to_owned(), table::date),
        expires,
        state.to_owned(),
        digest.map(|byte| format!("{byte:02x}")).collect(),
    ]
}
