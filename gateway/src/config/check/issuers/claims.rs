//! Keys that name claims: a text, or a mapping with the exact names on the way to the claim.

use mcp_gateway_core::token::claim_path::{ClaimPath, ClaimPathError};

use crate::config::{
    check::common::without_repeats,
    reading::reader::{Item, Section},
};

/// The claims below a key, one or a list; by default these.
pub(super) fn claims(section: &Section<'_>, key: &'static str, default: &[&str]) -> Vec<ClaimPath> {
    let items = section.one_or_many(key).into_iter();
    let listed = items.filter_map(|item| {
        let path = claim(&item)?;
        Some((item, path))
    });
    let listed = without_repeats(listed.collect());
    match listed.is_empty() {
        true => default.iter().map(|name| ClaimPath::named(name)).collect(),
        false => listed,
    }
}

/// The claim below a key; by default this.
pub(super) fn one_claim(section: &Section<'_>, key: &'static str, default: &str) -> ClaimPath {
    let claim = section.get(key).and_then(|item| claim(&item));
    claim.unwrap_or_else(|| ClaimPath::named(default))
}

/// A claim: a text, or a mapping with its path.
pub(in crate::config::check) fn claim(item: &Item<'_>) -> Option<ClaimPath> {
    let read = match item.is_mapping() {
        true => ClaimPath::of(names(item)?.iter().map(String::as_str)),
        false => ClaimPath::parse(&item.text()?),
    };
    read.map_err(|error| item.report(&error, fix(&error))).ok()
}

/// The names of a mapping with `path`.
fn names(item: &Item<'_>) -> Option<Vec<String>> {
    let section = item.section();
    let items = section.required_list("path", "List the names, such as [realm_access, roles]");
    section.finish();
    let names: Vec<_> = items.iter().map_while(Item::text).collect();
    (!names.is_empty() && names.len() == items.len()).then_some(names)
}

fn fix(error: &ClaimPathError) -> &'static str {
    match error {
        ClaimPathError::EmptyName => {
            "Write names with a dot between them, such as realm_access.roles, or { path: [name, name] }"
        }
        ClaimPathError::TooLong => "Name a claim that is less deep",
        ClaimPathError::NotAnObject(_) => {
            "Name the claim alone. If its name has a dot, write { path: [\"the.name\"] }"
        }
        ClaimPathError::Number(_) => "Name a claim that contains text",
    }
}
