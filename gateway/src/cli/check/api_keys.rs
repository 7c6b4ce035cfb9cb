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

/// Warnings about keys that nobody can use, and about headers that can have a key and reach an upstream.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = lost_keys(config);
    found.extend(passed_headers(config));
    found
}

/// Headers that one resource passes to its upstream, and that have the API keys of another one.
fn passed_headers(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for resource in &config.resources {
        for name in &resource.upstream_headers.passed {
            let mut others = config.resources.iter();
            let other = others.find(|other| {
                let accepted = other.api_keys.as_ref();
                accepted.is_some_and(|accepted| accepted.header.as_ref() == Some(name))
            });
            found.extend(other.map(|other| {
                format!(
                    "{} passes {name} to its MCP server, and {} takes API keys from it: values with an API key are not passed",
                    resource.uri, other.uri
                )
            }));
        }
    }
    found
}

/// Warnings about places that keys name and no resource has.
fn lost_keys(config: &Config) -> Vec<String> {
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
