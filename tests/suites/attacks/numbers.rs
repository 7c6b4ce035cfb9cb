//! The list and the tests must agree. A missing number, a test that does not exist, a test that is not listed, and a number
//! with both a test and a reason for having none are each an error here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use e2e::process::binary::repository;
use e2e::world::Table;

const LAST: usize = 344;

#[test]
fn every_number_has_one_test_or_one_reason() {
    let (rows, tests) = (listed(), written());
    let mut table = Table::default();
    let numbers: Vec<_> = rows.iter().map(|row| row.number).collect();
    let all: Vec<_> = (1..=LAST).collect();
    table.check("the list", numbers == all, || {
        let missing: Vec<_> = all.iter().filter(|one| !numbers.contains(one)).collect();
        format!("each number once and in order; missing: {missing:?}")
    });
    for row in &rows {
        let name = row.number.to_string();
        let of_this: Vec<_> = tests
            .iter()
            .filter(|test| number_of(test) == Some(row.number))
            .collect();
        match row.test() {
            Some(test) => table.check(&name, of_this == [test], || {
                format!("listed {test}, written {of_this:?}")
            }),
            None => {
                table.check(&name, of_this.is_empty(), || {
                    format!("both a reason and {of_this:?}")
                });
                table.check(&name, row.last.len() > 4, || "no reason".to_owned());
            }
        }
        for place in row.places() {
            table.check(&name, exists(place), || format!("{place} does not exist"));
        }
    }
    for test in &tests {
        let is_listed = rows.iter().any(|row| row.test() == Some(test));
        table.check(test, is_listed, || "not in the list".to_owned());
    }
}

/// One row of the list.
struct Row {
    number: usize,
    /// The last cell: a test's name in backticks, or a reason.
    last: String,
}

impl Row {
    fn test(&self) -> Option<&str> {
        let name = self.last.strip_prefix('`')?.strip_suffix('`')?;
        name.starts_with("attack_").then_some(name)
    }

    /// The paths that a reason names in backticks: `path`, or `path:test` for a test in that file.
    fn places(&self) -> impl Iterator<Item = &str> {
        let quoted = self.last.split('`').skip(1).step_by(2);
        quoted.filter(|word| word.contains('/') && !word.contains(' '))
    }
}

fn exists(place: &str) -> bool {
    match place.split_once(':') {
        None => repository(place).exists(),
        Some((path, test)) => {
            let written = ["fn", "function"].map(|word| format!("{word} {test}("));
            let source = std::fs::read_to_string(repository(path));
            source.is_ok_and(|source| written.iter().any(|written| source.contains(written)))
        }
    }
}

fn listed() -> Vec<Row> {
    let list = std::fs::read_to_string(repository("tests/attacks.md")).unwrap();
    let rows = list.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let number = cells.first()?.parse().ok()?;
        assert_eq!(cells.len(), 5, "five cells: {line}");
        let last = cells[4].to_owned();
        let names_a_test = last.contains("`attack_");
        let row = Row { number, last };
        assert!(
            !names_a_test || row.test().is_some(),
            "a test or a reason: {line}"
        );
        Some(row)
    });
    rows.collect()
}

/// The tests of this target, read from its sources.
fn written() -> BTreeSet<String> {
    let mut found = BTreeMap::new();
    for path in sources(&repository("tests/suites/attacks")) {
        for name in tests_in(&path) {
            let twice = found.insert(name.clone(), path.clone());
            assert!(twice.is_none(), "{name} is written twice");
        }
    }
    found.into_keys().collect()
}

/// The files of this folder and of the folders in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .collect()
}

fn tests_in(path: &Path) -> Vec<String> {
    let source = std::fs::read_to_string(path).unwrap();
    let mut is_test = false;
    let mut names = Vec::new();
    for line in source.lines() {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            is_test = false;
            let name = rest.split('(').next().unwrap_or(rest);
            names.extend(name.starts_with("attack_").then(|| name.to_owned()));
        }
    }
    names
}

fn number_of(test: &str) -> Option<usize> {
    let digits = test.strip_prefix("attack_")?.split('_').next()?;
    assert_eq!(digits.len(), 3, "{test}: three digits");
    digits.parse().ok()
}
