//! The reasons of refusals as a Markdown page, `docs/why.md`, by status. It is made from the tables of the core: what clients
//! receive, and the words for operators. Configuration keys in those words become links.
//!
//! A test compares the page with the tables. `make reference` writes it.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use mcp_gateway_core::refusal::{
    causes::Causes,
    reason::{ChallengeForm, Reason},
};

use super::{add, anchor, below, compare};
use crate::config::{
    declaration::{document::document, parts::key::Key},
    reading::key_path,
};

/// The page, below the folder of the crate.
const PAGE: &str = "../docs/why.md";

/// The text above the reasons.
const INTRODUCTION: &str = include_str!("why.txt");

/// The page.
fn markdown() -> String {
    let keys = keys();
    let mut page = INTRODUCTION.to_owned();
    overview(&mut page);
    for (status, reasons) in by_status() {
        add(&mut page, format_args!("\n## {}\n", status_text(status)));
        for reason in reasons.into_values() {
            entry(reason, &keys, &mut page);
        }
    }
    page
}

/// The reasons of each status, by their label.
fn by_status() -> BTreeMap<u16, BTreeMap<&'static str, Reason>> {
    let mut sorted: BTreeMap<u16, BTreeMap<_, _>> = BTreeMap::new();
    for reason in Reason::ALL {
        let reasons = sorted.entry(reason.status()).or_default();
        reasons.insert(reason.label(), *reason);
    }
    sorted
}

fn status_text(status: u16) -> String {
    let known = StatusCode::from_u16(status).ok();
    let words = known.and_then(|status| status.canonical_reason());
    format!("{status} {}", words.unwrap_or_default())
}

fn overview(page: &mut String) {
    page.push_str("| status | reasons |\n|---|---|\n");
    for (status, reasons) in by_status() {
        let links = reasons.keys().map(|label| format!("[`{label}`](#{label})"));
        let links: Vec<_> = links.collect();
        let row = (status_text(status), links.join(" · "));
        add(page, format_args!("| {} | {} |\n", row.0, row.1));
    }
}

fn entry(reason: Reason, keys: &BTreeSet<String>, page: &mut String) {
    let Causes {
        when,
        causes,
        detail,
        cure,
    } = reason.causes();
    let (label, facts) = (reason.label(), facts(reason));
    add(page, format_args!("\n### `{label}`\n\n{facts}\n\n"));
    add(page, format_args!("{}\n\n", linked(when, keys)));
    for (what, text) in [
        ("Usual causes", causes),
        ("In `detail`", detail),
        ("Cure", cure),
    ] {
        add(page, format_args!("- **{what}:** {}\n", linked(text, keys)));
    }
}

/// What the client receives, in one line.
fn facts(reason: Reason) -> String {
    let row = reason.row();
    let mut facts = format!("**{}** · *{}*", row.status, row.description);
    if let Some(code) = row.rpc_code {
        add(&mut facts, format_args!(" · JSON-RPC code {code}"));
    }
    match row.challenge {
        ChallengeForm::None => {}
        ChallengeForm::Bare => facts.push_str(" · a challenge without an error"),
        ChallengeForm::Error(error) => add(&mut facts, format_args!(" · challenge `{error}`")),
    }
    if reason.counts_against_address() {
        facts.push_str(" · counts for `limits.refusals_per_address`");
    }
    facts
}

/// A text with its configuration keys as links.
fn linked(text: &str, keys: &BTreeSet<String>) -> String {
    let parts = text
        .split('`')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            0 => part.to_owned(),
            _ if keys.contains(part) => format!("[`{part}`](configuration.md#{})", anchor(part)),
            _ => format!("`{part}`"),
        });
    parts.collect()
}

/// The paths of all keys.
fn keys() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for key in document().keys {
        collect(key, "", &mut paths);
    }
    paths
}

fn collect(key: Key, above: &str, paths: &mut BTreeSet<String>) {
    let path = key_path::entry(above, key.name);
    paths.insert(path.clone());
    let (below, path) = below(key.kind, path);
    for key in below.into_iter().flat_map(|table| table.keys) {
        collect(key, &path, paths);
    }
}

#[test]
fn the_page_has_every_reason() {
    compare(PAGE, &markdown());
}

#[test]
fn the_words_name_keys_that_exist() {
    let keys = keys();
    let tops: BTreeSet<_> = keys
        .iter()
        .filter_map(|key| key.split(['.', '[']).next())
        .collect();
    for reason in Reason::ALL {
        let Causes {
            when,
            causes,
            detail,
            cure,
        } = reason.causes();
        let texts = [when, causes, detail, cure];
        let quoted = texts
            .iter()
            .flat_map(|text| text.split('`').skip(1).step_by(2));
        for word in quoted {
            let top = word.split(['.', '[']).next().unwrap_or_default();
            let is_path = word.len() > top.len() && tops.contains(top);
            // `scopes.required` is what `detail` says.
            let is_said = word == "scopes.required" || word.starts_with("claims.");
            assert!(
                !is_path || is_said || keys.contains(word),
                "{reason:?} names a key that does not exist: {word}"
            );
        }
    }
}

#[test]
fn keys_become_links_and_other_words_do_not() {
    let text = linked("Raise `limits.calls`, or send `POST`.", &keys());
    assert_eq!(
        text,
        "Raise [`limits.calls`](configuration.md#limitscalls), or send `POST`."
    );
}
