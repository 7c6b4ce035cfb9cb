//! API keys in the summary of `check`: how many there are, and keys that nobody can use.

use std::io::{self, Write};

use mcp_gateway_core::{
    time::UnixTime,
    token::api_key::entry::{self, KeyEntry, Opens},
};

use crate::config::{Config, Resource};

/// What vouches for the callers of a resource.
pub(super) fn vouching(resource: &Resource) -> String {
    let issuers = resource.issuers.iter().map(String::as_str);
    let keys = resource.api_keys.as_ref().map(|_| entry::ISSUER);
    issuers.chain(keys).collect::<Vec<_>>().join(", ")
}

/// Writes the number of keys, where there are key files.
pub(super) fn write(config: &Config, now: UnixTime, out: &mut impl Write) -> io::Result<()> {
    let keys = &config.api_keys;
    if keys.files.is_empty() {
        return Ok(());
    }
    let files: Vec<_> = (keys.files.iter())
        .map(|file| file.display().to_string())
        .collect();
    let expired = keys.ring.entries().filter(|key| key.is_over(now)).count();
    writeln!(
        out,
        "api keys  {} in {} ({expired} expired)",
        keys.ring.len(),
        files.join(", ")
    )
}

/// Warnings about places that keys name and no resource has.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let accepting = |resource: &&Resource| resource.api_keys.is_some();
    let accepting: Vec<_> = config.resources.iter().filter(accepting).collect();
    let mut keys: Vec<&KeyEntry> = config.api_keys.ring.entries().collect();
    keys.sort_by(|one, other| one.name.cmp(&other.name));
    let mut found = Vec::new();
    for key in keys {
        let Opens::These(places) = &key.resources else {
            continue;
        };
        let is_there = |place: &String| {
            let is_named = |resource: &&Resource| *place == resource.path || *place == resource.uri;
            accepting.iter().any(is_named)
        };
        let missing = places.iter().filter(|place| !is_there(place));
        found.extend(missing.map(|place| {
            let place = place.escape_debug();
            format!(
                "API key {} is for {place}, which is no resource that accepts API keys",
                key.name
            )
        }));
    }
    found
}
