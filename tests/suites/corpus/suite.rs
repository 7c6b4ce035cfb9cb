//! From data files to tests: a corpus is a folder of YAML files, each of them a list of cases.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use libtest_mimic::{Failed, Trial};
use serde::de::DeserializeOwned;

/// One case of a corpus. Its type refuses unknown fields (`#[serde(deny_unknown_fields)]`), so that a misspelt
/// expectation is an error.
pub(crate) trait Case: DeserializeOwned + Send + 'static {
    /// A sentence with the input and the outcome. No other case has it.
    fn name(&self) -> &str;

    /// Runs it.
    fn run(&self) -> Result<(), Failed>;

    /// Its parts that are inputs of a property: the property's name, and the bytes. Each must hold; they are also seeds of fuzzing.
    fn seeds(&self) -> Vec<(&'static str, Vec<u8>)> {
        Vec::new()
    }
}

/// The tests of one corpus: each case, and that there are at least as many as promised.
pub(crate) fn trials<C: Case>(subject: &'static str, promised: usize) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut found = 0;
    for file in files(&folder(subject)) {
        match cases::<C>(&file) {
            Ok(cases) => {
                found += cases.len();
                trials.extend(cases.into_iter().map(|case| trial(subject, case)));
            }
            Err(problem) => trials.push(failing(subject, &file, problem)),
        }
    }
    let counted = move || match found >= promised {
        true => Ok(()),
        false => Err(format!("{found} cases of {promised}").into()),
    };
    let name = format!("the corpus of {subject} holds {promised} cases or more");
    trials.push(Trial::test(name, counted).with_kind(subject));
    trials
}

/// Every case of a corpus.
pub(crate) fn all<C: Case>(subject: &str) -> Vec<C> {
    let files = files(&folder(subject)).into_iter();
    files
        .flat_map(|file| cases::<C>(&file).expect("a list of cases"))
        .collect()
}

/// Writes the seeds of fuzzing, a folder for each property and a file for each input.
pub(crate) fn write_seeds<C: Case>(subject: &str, into: &Path) {
    let cases = all::<C>(subject).into_iter();
    let seeds = cases.flat_map(|case| case.seeds());
    for (number, (property, bytes)) in seeds.enumerate() {
        let folder = into.join(property);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(format!("{subject}-{number}")), bytes).expect("written");
    }
}

/// The property of this name.
pub(crate) fn property(name: &str) -> fn(&[u8]) {
    let found = properties::ALL.iter().find(|(own, _)| *own == name);
    found.unwrap_or_else(|| panic!("no property {name}")).1
}

/// Checks that every name is a sentence, and belongs to one case only.
pub(crate) fn names_are_unique(trials: &[Trial]) -> [Trial; 1] {
    let mut seen = HashSet::new();
    let bad: Vec<String> = trials
        .iter()
        .map(|trial| trial.name().to_owned())
        .filter(|name| !seen.insert(name.clone()) || name.split(' ').count() < 3)
        .collect();
    let check = move || match bad.is_empty() {
        true => Ok(()),
        false => Err(format!("used twice, or not a sentence: {bad:#?}").into()),
    };
    [Trial::test(
        "the name of every case is a sentence and unique",
        check,
    )]
}

/// Fails with both values where they differ.
pub(crate) fn expect_equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), Failed> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} instead of {expected:?}").into()),
    }
}

fn trial<C: Case>(subject: &str, case: C) -> Trial {
    let name = case.name().to_owned();
    let run = move || {
        for (name, bytes) in case.seeds() {
            property(name)(&bytes);
        }
        case.run()
    };
    Trial::test(name, run).with_kind(subject)
}

fn failing(subject: &str, file: &Path, problem: String) -> Trial {
    let name = format!("the file {} is a list of cases", file.display());
    Trial::test(name, move || Err(problem.into())).with_kind(subject)
}

fn folder(subject: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(subject)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a corpus is a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

fn cases<C: Case>(file: &Path) -> Result<Vec<C>, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    serde_yaml::from_str(&text).map_err(|error| error.to_string())
}
