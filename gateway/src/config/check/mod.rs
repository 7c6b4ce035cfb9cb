//! The second pass: the whole configuration, section by section, and what the sections mean together.

mod addresses;
mod conditions;
mod identities;
mod issuers;
mod listen;
mod numbers;
mod policy;
mod rate_limits;
mod resources;
mod rule_arguments;
mod rules;
mod upstream;

use super::{
    Config,
    reader::{Item, Section},
};

/// Longest word from the file that a finding quotes, in characters.
const MAX_QUOTED: usize = 64;

/// Reads the whole configuration. What comes out counts only if there are no findings.
pub(super) fn config(root: Section<'_>) -> Option<Config> {
    let listen = listen::listeners(&root);
    let public_url = listen::public_url(&root, &listen);
    let admin = listen::admin(&root, &listen);
    let hosts = listen::hosts(&root, public_url.as_ref());
    let origins = listen::origins(&root);
    let (limits, exempt) = numbers::limits(root.section("limits"));
    let addresses = addresses::addresses(&root, &listen, exempt);
    let timeouts = numbers::timeouts(root.section("timeouts"));
    let jwks = numbers::jwks(root.section("jwks"));
    let reload = numbers::reload(root.section("reload"));
    let shutdown = numbers::shutdown(root.section("shutdown"));
    let upgrade_socket = listen::upgrade_socket(&root);
    let log = numbers::log(root.section("log"));
    let audit = numbers::audit(root.section("audit"));
    let sessions = listen::sessions(&root);
    let issuers = issuers::issuers(&root);
    let surroundings = resources::Surroundings {
        public_url: public_url.as_ref(),
        issuers: &issuers,
        listen: &listen,
        response_head: timeouts.response_head,
    };
    let resources = resources::resources(&root, &surroundings);
    root.finish();
    Some(Config {
        public_url: public_url?,
        listen,
        admin: admin?,
        hosts,
        issuers: issuers.usable,
        resources,
        origins,
        addresses,
        limits,
        timeouts,
        jwks,
        reload,
        shutdown,
        upgrade_socket,
        sessions,
        log,
        audit,
    })
}

/// Reports every item whose value stood in the list before, and gives the values.
fn without_repeats<T: PartialEq>(values: Vec<(Item<'_>, T)>) -> Vec<T> {
    let mut unique = Vec::with_capacity(values.len());
    for (item, value) in values {
        if unique.contains(&value) {
            item.report("is listed twice", "Keep one of the two");
        } else {
            unique.push(value);
        }
    }
    unique
}

/// A word from the file, fit to be shown: escaped and short.
fn quoted(word: &str) -> String {
    let mut shown: String = word
        .chars()
        .take(MAX_QUOTED)
        .flat_map(char::escape_debug)
        .collect();
    if word.chars().nth(MAX_QUOTED).is_some() {
        shown.push('…');
    }
    shown
}
