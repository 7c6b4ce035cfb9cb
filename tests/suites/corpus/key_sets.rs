//! Key sets: which keys of a document serve, why others do not, and what a newer set withdraws.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use mcp_gateway_core::token::key_set::{KeySet, KeySetError};
use serde::Deserialize;

use crate::{suite, text};

/// How many cases there must be.
const PROMISED: usize = 110;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// What the issuer publishes.
    set: String,
    /// How many keys of it serve.
    serves: Option<usize>,
    /// Why the others do not: labels, in the order of the keys; `3 symmetric` for three of a kind.
    #[serde(default)]
    rejects: Vec<String>,
    /// `json` or `not_a_key_set`, where the whole document is refused.
    error: Option<String>,
    /// What the issuer publishes later.
    newer: Option<String>,
    /// Whether the newer set takes a key away or alters one, so that cached verifications by the old set end.
    revokes: Option<bool>,
    #[serde(rename = "source")]
    _source: Option<String>,
}

pub(crate) fn trials() -> Vec<Trial> {
    suite::trials::<Case>("key_sets", PROMISED)
}

pub(crate) fn write_seeds(into: &Path) {
    suite::write_seeds::<Case>("key_sets", into);
}

impl suite::Case for Case {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(&self) -> Result<(), Failed> {
        let parsed = match KeySet::parse(&text::bytes(&self.set)) {
            Ok(parsed) => parsed,
            Err(error) => {
                let error = match error {
                    KeySetError::Json(_) => "json",
                    KeySetError::NotAKeySet => "not_a_key_set",
                };
                return suite::expect_equal("error", Some(error), self.error.as_deref());
            }
        };
        suite::expect_equal("error", None, self.error.as_deref())?;
        suite::expect_equal("keys that serve", Some(parsed.keys.len()), self.serves)?;
        let rejects = parsed
            .rejected
            .iter()
            .map(|key| key.reason.label().to_owned());
        suite::expect_equal("rejected keys", rejects.collect(), self.rejects())?;
        let Some(newer) = &self.newer else {
            return suite::expect_equal("revokes without a newer set", self.revokes, None);
        };
        let newer = KeySet::parse(&text::bytes(newer))?.keys;
        let revokes = parsed.keys.removes_or_alters(&newer);
        suite::expect_equal("revokes", Some(revokes), self.revokes)
    }

    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        let sets = [Some(&self.set), self.newer.as_ref()].into_iter().flatten();
        sets.map(|set| ("key_set", text::bytes(set))).collect()
    }
}

impl Case {
    fn rejects(&self) -> Vec<String> {
        let one = |text: &String| match text.split_once(' ') {
            Some((count, label)) => vec![label.to_owned(); count.parse().expect("a count")],
            None => vec![text.clone()],
        };
        self.rejects.iter().flat_map(one).collect()
    }
}
