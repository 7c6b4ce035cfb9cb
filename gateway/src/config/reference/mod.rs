//! The configuration's keys as a Markdown page, `docs/configuration.md`: one section for each top-level key, one entry for
//! each key below it. It is made from the [declarations](super::declaration), as the [JSON Schema](super::schema) is.
//!
//! A test compares the page with the declarations. `make reference` writes it, and the page about the reasons of refusals ([`why`]).

mod why;

use std::{env, fmt::Write, fs, path::Path};

use super::{
    declaration::{
        document::document,
        parts::key::{Fallback, Key, Kind, Table},
    },
    reading::key_path,
};

/// The page, below the folder of the crate.
const PAGE: &str = "../docs/configuration.md";

/// The environment variable that lets the test write the page.
const UPDATE: &str = "UPDATE_DOCS";

/// The text above the keys.
const INTRODUCTION: &str = include_str!("introduction.txt");

/// The page.
fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let keys = document().keys;
    overview(&keys, &mut page);
    for key in keys {
        page.push('\n');
        entry(key, "", 2, &mut page);
    }
    page
}

/// A table of the top-level keys.
fn overview(keys: &[Key], page: &mut String) {
    page.push_str("| key | required | what it is |\n|---|---|---|\n");
    for key in keys {
        let required = match key.fallback {
            Fallback::Required => "required",
            _ => "",
        };
        let (name, sentence) = (link(key.name, key.name), escaped(&key.sentence));
        add(page, format_args!("| {name} | {required} | {sentence} |\n"));
    }
}

/// The entry of a key, and the entries of the keys below it.
fn entry(key: Key, above: &str, level: usize, page: &mut String) {
    let path = key_path::entry(above, key.name);
    let hashes = "#".repeat(level);
    let sentence = escaped(&key.sentence);
    add(page, format_args!("{hashes} `{path}`\n\n{sentence}\n\n"));
    add(page, format_args!("{}\n", facts(&key)));
    let (below, path) = below(key.kind, path);
    let Some(table) = below else { return };
    add(page, format_args!("\nKeys: {}\n", links(&path, &table)));
    for key in table.keys {
        page.push('\n');
        entry(key, &path, 3, page);
    }
}

/// Type, range and default in one line.
fn facts(key: &Key) -> String {
    let mut facts = format!("**Type:** {}", type_text(&key.kind));
    if let Some((least, most)) = key.kind.range() {
        add(
            &mut facts,
            format_args!(" · **Range:** `{least}` to `{most}`"),
        );
    }
    match &key.fallback {
        Fallback::Required => facts.push_str(" · **Required**"),
        Fallback::Value(value) => add(&mut facts, format_args!(" · **Default:** `{value}`")),
        Fallback::Words(words) => {
            add(
                &mut facts,
                format_args!(" · **Default:** {}", escaped(words)),
            );
        }
        Fallback::Unsaid => facts.push_str(" · Optional"),
    }
    facts
}

fn type_text(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Count(_) => "whole number".to_owned(),
        Kind::Size(_) => "size".to_owned(),
        Kind::Time(_) => "duration".to_owned(),
        Kind::Word(_, words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("one of {}", words.join(", "))
        }
        Kind::Scalar => "text, whole number, `true` or `false`".to_owned(),
        Kind::Table(_) => "mapping".to_owned(),
        Kind::TextOr(_) => "text or mapping".to_owned(),
        Kind::List(element) => format!("list, each element: {}", type_text(element)),
        Kind::OneOrMany(element) => format!("{}; a single value or a list", type_text(element)),
        Kind::Map(value) => format!("mapping from a name to: {}", type_text(value)),
    }
}

/// The keys below a value, and their path: `[]` stands for an element, `*` for a name that the operator chooses.
pub(super) fn below(kind: Kind, path: String) -> (Option<Table>, String) {
    match kind {
        Kind::Table(table) | Kind::TextOr(table) => (Some(table), path),
        Kind::List(element) | Kind::OneOrMany(element) => below(*element, format!("{path}[]")),
        Kind::Map(value) => below(*value, format!("{path}.*")),
        _ => (None, path),
    }
}

fn links(path: &str, table: &Table) -> String {
    let links = table.keys.iter().map(|key| {
        let target = key_path::entry(path, key.name);
        link(key.name, &target)
    });
    links.collect::<Vec<_>>().join(" · ")
}

fn link(name: &str, path: &str) -> String {
    format!("[`{name}`](#{})", anchor(path))
}

/// The anchor that code hosts and mkdocs both make of a heading with this path.
fn anchor(path: &str) -> String {
    let stays = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    path.chars().filter(stays).collect()
}

/// Text in which Markdown finds no emphasis and no HTML.
fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(index, part)| {
        if index % 2 == 0 {
            part.replace('*', r"\*").replace('<', "&lt;")
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Writing to a text cannot fail.
fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}

/// Compares a page with what it is made from, or writes it.
fn compare(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    if env::var_os(UPDATE).is_some() {
        return fs::write(&path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let same = |(found, wanted): &(&str, &str)| found == wanted;
    let line = found.lines().zip(wanted.lines()).take_while(same).count() + 1;
    assert!(
        found == wanted,
        "{page} differs from its source from line {line} on: run `make reference` and commit the page",
    );
}

#[test]
fn the_page_has_what_is_declared() {
    compare(PAGE, &markdown());
}

#[test]
fn every_key_has_an_entry_and_an_anchor_of_its_own() {
    let page = markdown();
    let headings = page.lines().filter_map(|line| {
        let path = line.trim_start_matches('#').strip_prefix(" `")?;
        path.strip_suffix('`')
    });
    let paths: Vec<_> = headings.collect();
    let anchors: std::collections::BTreeSet<_> = paths.iter().map(|path| anchor(path)).collect();
    assert_eq!(anchors.len(), paths.len());
    for path in [
        "public_url",
        "listen[].tls.certificates[].private_key",
        "issuers.*.algorithms",
        "resources[].policy.rules[].principals[].subject",
        "limits.exempt_addresses",
    ] {
        assert!(paths.contains(&path), "{path}");
    }
}

#[test]
fn an_entry_says_type_range_and_default() {
    let page = markdown();
    for line in [
        "**Type:** size · **Range:** `1KiB` to `1GiB` · **Default:** `4MiB`",
        "**Type:** one of `allow`, `deny` · **Required**",
        "**Type:** one of `json`, `text` · **Default:** `json`",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn wildcards_are_not_emphasis() {
    assert_eq!(
        escaped("* or **, <b>, and `*` as it is"),
        r"\* or \*\*, &lt;b>, and `*` as it is"
    );
}
