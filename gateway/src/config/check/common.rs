//! Helpers of many checks: read plain sections, find duplicates, quote words from the file, and read CA files.

use std::path::PathBuf;

use crate::config::{
    declaration::parts::section::Settings,
    files,
    reading::{
        reader::{Item, Section},
        url::HttpUrl,
    },
};

/// Longest word from the file that a finding quotes, in characters; a longer one is truncated.
const MAX_QUOTED: usize = 64;

/// A section whose keys do not depend on one another.
pub(super) fn settings<T: Settings>(section: Section<'_>) -> T {
    let settings = T::read(&section);
    section.finish();
    settings
}

/// Reports every item whose value is already in the list, and returns the distinct values.
pub(super) fn without_repeats<T: PartialEq>(values: Vec<(Item<'_>, T)>) -> Vec<T> {
    let mut unique = Vec::with_capacity(values.len());
    for (item, value) in values {
        if unique.contains(&value) {
            item.report("duplicate entry", "Remove one of the two");
        } else {
            unique.push(value);
        }
    }
    unique
}

/// A word from the file, escaped and truncated for display.
pub(super) fn quoted(word: &str) -> String {
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

/// Trusted certificates, read here to check that they are usable.
pub(super) fn ca_file(section: &Section<'_>, key: &'static str) -> Option<PathBuf> {
    let item = section.get(key)?;
    let path = item.file()?;
    if let Err(error) = files::roots(&path) {
        item.report_file(
            &path,
            &error,
            "Use a PEM file with the certificates to trust",
        );
    }
    Some(path)
}

/// An absolute path of plain segments, without a query.
pub(super) fn own_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("must be an absolute path".to_owned());
    }
    let url = HttpUrl::without_query(&format!("http://localhost{text}"));
    url.map(|url| url.path).map_err(|error| error.to_string())
}
