//! The notation of the data files for bytes that YAML cannot express in a readable way.
//!
//! `⟨3×ab⟩` is `ababab`, `⟨hex ff fe⟩` is these bytes, `⟨now+60⟩` is a second of the corpus' own clock, and `⟨NAME⟩` is
//! its text in `tests/corpus/values.txt`. Everything else is literal.

use std::{collections::HashMap, sync::LazyLock};

use test_support::fixtures::NOW;

/// The bytes of a text in this notation.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once('⟨') {
        let (inner, after) = after.split_once('⟩').expect("⟨ and ⟩ come in pairs");
        bytes.extend_from_slice(plain.as_bytes());
        bytes.extend(expand(inner));
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// The same where it must be text.
pub(crate) fn text(text: &str) -> String {
    String::from_utf8(bytes(text)).expect("text")
}

static VALUES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("../../corpus/values.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

fn expand(inner: &str) -> Vec<u8> {
    if let Some(value) = VALUES.get(inner) {
        return value.as_bytes().to_vec();
    }
    if let Some(offset) = inner.strip_prefix("now") {
        let offset: i64 = if offset.is_empty() {
            0
        } else {
            offset.parse().expect("seconds")
        };
        return (NOW + offset).to_string().into_bytes();
    }
    if let Some(digits) = inner.strip_prefix("hex ") {
        let octet = |digits| u8::from_str_radix(digits, 16).expect("two hexadecimal digits");
        return digits.split(' ').map(octet).collect();
    }
    let (times, repeated) = inner.split_once('×').expect("⟨COUNT×TEXT⟩");
    repeated
        .repeat(times.parse().expect("a count"))
        .into_bytes()
}
