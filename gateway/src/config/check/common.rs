//! Helpers of many checks: find duplicates, and quote words from the file.

use crate::config::reading::reader::Item;

/// Longest word from the file that a finding quotes, in characters; a longer one is truncated.
const MAX_QUOTED: usize = 64;

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
