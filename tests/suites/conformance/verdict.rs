//! The comparison of two runs of the suite.

use std::collections::{BTreeMap, BTreeSet};

use crate::suite::{Check, Status};

/// A check is identified by its scenario, its id and its name; of several rows with the same ones the worst counts.
type Key = (String, String, String);

/// The worst row of each check.
pub(crate) struct Verdicts(BTreeMap<Key, Check>);

impl Verdicts {
    /// Of all rows of a run.
    pub(crate) fn new(checks: Vec<Check>) -> Self {
        let mut worst: BTreeMap<Key, Check> = BTreeMap::new();
        for check in checks {
            let key = (check.scenario.clone(), check.id.clone(), check.name.clone());
            match worst.get(&key) {
                Some(other) if other.status >= check.status => {}
                _ => drop(worst.insert(key, check)),
            }
        }
        Self(worst)
    }

    /// How many scenarios have results.
    pub(crate) fn scenarios(&self) -> usize {
        let names: BTreeSet<_> = self.0.keys().map(|(scenario, ..)| scenario).collect();
        names.len()
    }

    /// How many checks pass.
    pub(crate) fn passed(&self) -> usize {
        let passing = self.0.values();
        passing
            .filter(|check| check.status == Status::Success)
            .count()
    }

    /// The failed checks, each as `scenario check: what is wrong`.
    pub(crate) fn faults(&self) -> Vec<String> {
        let failing = self.0.values().filter(|check| check.fails());
        failing.map(described).collect()
    }

    /// What is worse in `other`: checks that end with a worse status, or that are missing there although they pass here.
    pub(crate) fn worse_in(&self, other: &Self) -> Vec<String> {
        let lost = self.0.iter().filter_map(|(key, here)| {
            let lost = here.status == Status::Success && !other.0.contains_key(key);
            lost.then(|| format!("{} {}: no result", here.scenario, here.id))
        });
        let worse = other.0.iter().filter_map(|(key, there)| {
            let here = self.0.get(key).map(|check| check.status);
            let before = here.unwrap_or(Status::Skipped);
            (there.status > before).then(|| described(there))
        });
        lost.chain(worse).collect()
    }
}

fn described(check: &Check) -> String {
    let message = check.error_message.as_deref().unwrap_or("no reason given");
    format!(
        "{} {} ({}): {:?}: {message}",
        check.scenario, check.id, check.name, check.status
    )
}

#[test]
fn only_checks_that_are_worse_behind_the_gateway_count() {
    let check = |id: &str, status| Check {
        scenario: "s".to_owned(),
        id: id.to_owned(),
        name: "n".to_owned(),
        status,
        error_message: None,
    };
    let verdicts = |rows: &[(&str, Status)]| {
        Verdicts::new(rows.iter().map(|(id, status)| check(id, *status)).collect())
    };
    let straight = verdicts(&[
        ("a", Status::Success),
        ("b", Status::Warning),
        ("c", Status::Info),
    ]);
    let cases: [(&[(&str, Status)], usize); 7] = [
        (&[("a", Status::Success)], 0),
        (&[("a", Status::Success), ("b", Status::Warning)], 0),
        (&[("a", Status::Success), ("a", Status::Failure)], 1),
        (&[("a", Status::Skipped)], 1),
        (&[], 1),
        (&[("a", Status::Success), ("b", Status::Failure)], 1),
        (&[("a", Status::Success), ("new", Status::Failure)], 1),
    ];
    for (through, expected) in cases {
        let worse = straight.worse_in(&verdicts(through));
        assert_eq!(worse.len(), expected, "{through:?}: {worse:?}");
    }
}
