//! The second pass over a configuration: values read section by section. Everything that is wrong becomes a finding at
//! its key path, and reading goes on, so that one run tells everything.
//!
//! A reading method returns `None` where the value is missing or wrong; in the second case, and where a key is
//! [`required`](Section::required), the finding has been made.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use mcp_gateway_core::similar;
use serde_yaml::{Mapping, Value};

use super::{
    environment::Environment, finding::Finding, key_path, position::Position, positions::Positions,
    unit,
};

/// What reading needs besides the values, and the findings so far.
pub(crate) struct Reader<'a> {
    positions: &'a Positions,
    environment: &'a Environment,
    /// What relative file paths are relative to.
    base: &'a Path,
    findings: RefCell<Vec<Finding>>,
    files: RefCell<BTreeSet<PathBuf>>,
    /// Every key path that was asked for.
    #[cfg(test)]
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        positions: &'a Positions,
        environment: &'a Environment,
        base: &'a Path,
    ) -> Self {
        Self {
            positions,
            environment,
            base,
            findings: RefCell::default(),
            files: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    /// The document's mapping.
    pub(crate) fn root(&'a self, document: &'a Value) -> Section<'a> {
        let item = Item {
            reader: self,
            path: key_path::ROOT.to_owned(),
            value: document,
        };
        item.section()
    }

    /// Every file that was named so far, whether it will do or not.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        self.files.borrow().clone()
    }

    /// The findings, as they stand in the file.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(Finding::in_order);
        findings
    }

    /// Every key path that was asked for.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().iter().cloned().collect()
    }

    fn report(&self, path: &str, problem: impl fmt::Display, mend: impl fmt::Display) {
        self.report_there(path, self.positions.find(path), problem, mend);
    }

    fn report_there(
        &self,
        path: &str,
        at: Position,
        problem: impl fmt::Display,
        mend: impl fmt::Display,
    ) {
        self.findings.borrow_mut().push(Finding {
            path: path.to_owned(),
            line: at.line,
            column: at.column,
            problem: problem.to_string(),
            mend: mend.to_string(),
        });
    }
}

/// One value and its key path.
#[derive(Clone)]
pub(crate) struct Item<'a> {
    reader: &'a Reader<'a>,
    path: String,
    value: &'a Value,
}

impl<'a> Item<'a> {
    /// Records what is wrong here.
    pub(crate) fn report(&self, problem: impl fmt::Display, mend: impl fmt::Display) {
        self.reader.report(&self.path, problem, mend);
    }

    /// Records what is wrong at a place within this item's text.
    pub(crate) fn report_within(
        &self,
        text: &str,
        place: Position,
        problem: impl fmt::Display,
        mend: impl fmt::Display,
    ) {
        let at = self.reader.positions.find_within(&self.path, text, place);
        self.reader.report_there(&self.path, at, problem, mend);
    }

    /// A mapping; anything else is a finding and reads as an empty one.
    pub(crate) fn section(&self) -> Section<'a> {
        let entries = match self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Null => None,
            _ => self.wrong(
                "a mapping of keys to values",
                "Write its keys below it, indented",
            ),
        };
        Section {
            reader: self.reader,
            path: self.path.clone(),
            entries,
            known: RefCell::default(),
        }
    }

    /// Whether this is a mapping: for keys that take one or else a text.
    pub(crate) const fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Mapping(_))
    }

    /// The elements of a list; anything else is a finding and reads as none.
    pub(crate) fn list(&self) -> Vec<Self> {
        match self.value {
            Value::Sequence(values) => self.elements(values),
            _ => self
                .wrong("a list", "Write [a, b], or one element a line after a dash")
                .unwrap_or_default(),
        }
    }

    /// Whether there is no value: the key alone, or `null`.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether nothing is said here: no value, or a list or mapping without entries.
    pub(crate) fn is_vacant(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::Sequence(values) => values.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// How many findings there are by now, wherever.
    pub(crate) fn findings(&self) -> usize {
        self.reader.findings.borrow().len()
    }

    /// The elements of a list, or the one value that stands in its place.
    pub(crate) fn one_or_many(&self) -> Vec<Self> {
        match self.value {
            Value::Sequence(values) => self.elements(values),
            _ => vec![self.clone()],
        }
    }

    fn elements(&self, values: &'a [Value]) -> Vec<Self> {
        let element = |(index, value)| Self {
            reader: self.reader,
            path: key_path::element(&self.path, index),
            value,
        };
        values.iter().enumerate().map(element).collect()
    }

    /// Text that is not empty, with variables put in.
    pub(crate) fn text(&self) -> Option<String> {
        let text = self.any_text()?;
        if text.is_empty() {
            return self.bad("is empty", "Write a value, or remove the key");
        }
        Some(text)
    }

    /// Text, possibly empty, with variables put in.
    pub(crate) fn any_text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => self.expanded(text),
            Value::Null => self.bad("is empty", "Write a value"),
            Value::Mapping(_) => self.wrong(
                "text",
                "Write text, in quotes where it has a colon and a space: they make a key with a value",
            ),
            _ => self.wrong(
                "text",
                "Write text; a number or true and false stand in quotes",
            ),
        }
    }

    /// Text as `parse` reads it.
    pub(crate) fn parsed<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
        mend: &str,
    ) -> Option<T> {
        match parse(&self.text()?) {
            Ok(value) => Some(value),
            Err(error) => self.bad(error, mend),
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = match self.value {
            Value::Bool(_) | Value::Number(_) => self.scalar()?,
            _ => self.text()?,
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.bad(
            format_args!("is none of {}", words.join(", ")),
            "Write one of them",
        )
    }

    /// A file that is read, relative to the configuration's directory: when it changes, the configuration is read again.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let path = self.path()?;
        self.reader.files.borrow_mut().insert(path.clone());
        Some(path)
    }

    /// A place in the file system, relative to the configuration's directory.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        Some(self.reader.base.join(self.text()?))
    }

    /// Records that a file named here will not do, with the path it was looked for at.
    pub(crate) fn report_file(
        &self,
        path: &Path,
        error: impl fmt::Display,
        mend: impl fmt::Display,
    ) {
        self.report(format_args!("{} {error}", path.display()), mend);
    }

    /// Whether this is `true` or `false`, as YAML reads them.
    pub(crate) const fn is_flag(&self) -> bool {
        matches!(self.value, Value::Bool(_))
    }

    /// Whether this is a number, as YAML reads one.
    pub(crate) const fn is_number(&self) -> bool {
        matches!(self.value, Value::Number(_))
    }

    /// A whole number within `range`, of either sign.
    pub(crate) fn whole_number(&self, range: &RangeInclusive<i64>) -> Option<i64> {
        let Ok(number) = self.scalar()?.parse() else {
            return self.wrong("a whole number", "Write digits alone, without quotes");
        };
        self.within(number, range, i64::to_string)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.scalar()?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong("true or false", "Write true or false, without quotes"),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn count(&self, range: &RangeInclusive<usize>) -> Option<usize> {
        let Ok(count) = self.scalar()?.parse() else {
            return self.wrong("a whole number", "Write digits alone, without quotes");
        };
        self.within(count, range, usize::to_string)
    }

    /// A size within `range`, in bytes.
    pub(crate) fn size(&self, range: &RangeInclusive<usize>) -> Option<usize> {
        let Some(size) = unit::size(&self.measure()?) else {
            return self.bad("is no size", format_args!("Write {}", unit::SIZE_FORM));
        };
        self.within(size, range, |size| unit::show_size(*size))
    }

    /// A duration within `range`.
    pub(crate) fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let Some(duration) = unit::duration(&self.measure()?) else {
            return self.bad(
                "is no duration",
                format_args!("Write {}", unit::DURATION_FORM),
            );
        };
        self.within(duration, range, |duration| unit::show_duration(*duration))
    }

    fn within<T: PartialOrd>(
        &self,
        value: T,
        range: &RangeInclusive<T>,
        show: impl Fn(&T) -> String,
    ) -> Option<T> {
        if range.contains(&value) {
            return Some(value);
        }
        let (least, most) = (show(range.start()), show(range.end()));
        self.bad(
            "is out of range",
            format_args!("Write a value from {least} to {most}"),
        )
    }

    /// A number or flag as text, whether it stands here or in a variable. Quotes around it make it text.
    fn scalar(&self) -> Option<String> {
        match self.value {
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::String(text) if text.contains("${") => self.expanded(text),
            _ => Some(String::new()),
        }
    }

    /// A number with its unit as text.
    fn measure(&self) -> Option<String> {
        match self.value {
            Value::String(text) => self.expanded(text),
            _ => Some(String::new()),
        }
    }

    fn expanded(&self, text: &str) -> Option<String> {
        match self.reader.environment.expand(text) {
            Ok(text) => Some(text.into_owned()),
            Err(error) => self.bad(
                error,
                "Set it, or write ${NAME:-default}; a dollar sign itself is $$",
            ),
        }
    }

    fn wrong<T>(&self, expected: &str, mend: &str) -> Option<T> {
        self.bad(format_args!("must be {expected}"), mend)
    }

    fn bad<T>(&self, problem: impl fmt::Display, mend: impl fmt::Display) -> Option<T> {
        self.report(problem, mend);
        None
    }
}

/// A mapping with a fixed set of keys. [`finish`](Section::finish) reports every other.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    /// None where the section is missing.
    entries: Option<&'a Mapping>,
    /// The keys asked for so far.
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// Records what is wrong with the section as a whole.
    pub(crate) fn report(&self, problem: impl fmt::Display, mend: impl fmt::Display) {
        self.reader.report(&self.path, problem, mend);
    }

    /// Records what is wrong at a key that may be missing.
    pub(crate) fn report_at(&self, key: &str, problem: impl fmt::Display, mend: impl fmt::Display) {
        self.reader
            .report(&key_path::entry(&self.path, key), problem, mend);
    }

    /// The value of a key, `null` included; `None` where the key is missing.
    pub(crate) fn raw(&self, key: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().push(key);
        let value = self.entries?.get(key)?;
        Some(self.item(key, value))
    }

    /// The value of a key; a key without a value counts as missing.
    pub(crate) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.raw(key).filter(|item| !item.value.is_null())
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &'static str, mend: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.report_at(key, "is missing", mend);
        }
        item
    }

    /// The section below a key; a missing one reads as an empty one.
    pub(crate) fn section(&self, key: &'static str) -> Self {
        match self.get(key) {
            Some(item) => item.section(),
            None => Self {
                reader: self.reader,
                path: key_path::entry(&self.path, key),
                entries: None,
                known: RefCell::default(),
            },
        }
    }

    /// The elements of the list below a key; a missing one has none.
    pub(crate) fn list(&self, key: &'static str) -> Vec<Item<'a>> {
        self.get(key).map(|item| item.list()).unwrap_or_default()
    }

    /// The elements of the list below a key that must be there and have one at least.
    pub(crate) fn required_list(&self, key: &'static str, mend: &str) -> Vec<Item<'a>> {
        let Some(item) = self.required(key, mend) else {
            return Vec::new();
        };
        if matches!(item.value, Value::Sequence(values) if values.is_empty()) {
            item.report("is empty", mend);
        }
        item.list()
    }

    /// The elements of the list below a key, or the one value in its place; a missing one has none.
    pub(crate) fn one_or_many(&self, key: &'static str) -> Vec<Item<'a>> {
        self.get(key)
            .map(|item| item.one_or_many())
            .unwrap_or_default()
    }

    /// Text below a key.
    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        self.get(key)?.text()
    }

    /// Every entry, for mappings whose keys are names that the operator chooses.
    pub(crate) fn entries(&self) -> Vec<(String, Item<'a>)> {
        let entries = self.entries.into_iter().flatten();
        entries
            .map(|(key, value)| {
                let key = key_text(key);
                let item = self.item(&key, value);
                (key, item)
            })
            .collect()
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self) {
        let known = self.known.borrow();
        #[cfg(test)]
        self.reader
            .asked
            .borrow_mut()
            .extend(known.iter().map(|key| key_path::entry(&self.path, key)));
        for key in self
            .entries
            .into_iter()
            .flat_map(Mapping::keys)
            .map(key_text)
        {
            if known.iter().any(|known| *known == key) {
                continue;
            }
            let mend = match similar::nearest(&key, known.iter().copied()) {
                Some(near) => format!("Perhaps {near} is meant"),
                None => format!("Known here: {}", sorted(&known).join(", ")),
            };
            self.report_at(&key, "is no key that is known here", mend);
        }
    }

    fn item(&self, key: &str, value: &'a Value) -> Item<'a> {
        Item {
            reader: self.reader,
            path: key_path::entry(&self.path, key),
            value,
        }
    }
}

fn sorted(known: &[&'static str]) -> Vec<&'static str> {
    let mut sorted = known.to_vec();
    sorted.sort_unstable();
    sorted
}

/// A key as it stands in the file, as far as it is a scalar; other keys were refused in the first pass.
fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => "~".to_owned(),
    }
}
