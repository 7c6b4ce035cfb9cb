//! The second pass over a configuration: values read section by section. Every error becomes a finding at its key path, and
//! reading continues, so that one run reports all errors.
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

/// What [`Item::size`] expects.
const SIZE: &str = "a size";

/// What [`Item::duration`] expects.
const DURATION: &str = "a duration";

/// The problem of a value that is there and says nothing.
pub(crate) const EMPTY: &str = "must not be empty";

/// The fix for a mistyped word.
pub(crate) fn did_you_mean(word: &str) -> String {
    format!("Did you mean `{word}`?")
}

/// What reading needs in addition to the values, and the findings so far.
pub(crate) struct Reader<'a> {
    positions: &'a Positions,
    environment: &'a Environment,
    /// The directory that relative file paths start at.
    base: &'a Path,
    findings: RefCell<Vec<Finding>>,
    files: RefCell<BTreeSet<PathBuf>>,
    /// Every key path that was read.
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

    /// Every file named so far, usable or not.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        self.files.borrow().clone()
    }

    /// The findings, by their place in the file.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings.into_inner();
        findings.sort_by(Finding::in_order);
        findings
    }

    /// Every key path that was read.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().iter().cloned().collect()
    }

    fn report(&self, path: &str, problem: impl fmt::Display, fix: impl fmt::Display) {
        self.report_there(path, self.positions.find(path), problem, fix);
    }

    fn report_there(
        &self,
        path: &str,
        at: Position,
        problem: impl fmt::Display,
        fix: impl fmt::Display,
    ) {
        self.findings.borrow_mut().push(Finding {
            path: path.to_owned(),
            line: at.line,
            column: at.column,
            problem: problem.to_string(),
            fix: fix.to_string(),
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
    pub(crate) fn report(&self, problem: impl fmt::Display, fix: impl fmt::Display) {
        self.reader.report(&self.path, problem, fix);
    }

    /// Records what is wrong at a place within this item's text.
    pub(crate) fn report_within(
        &self,
        text: &str,
        place: Position,
        problem: impl fmt::Display,
        fix: impl fmt::Display,
    ) {
        let at = self.reader.positions.find_within(&self.path, text, place);
        self.reader.report_there(&self.path, at, problem, fix);
    }

    /// A mapping. Anything else is a finding and reads as an empty mapping.
    pub(crate) fn section(&self) -> Section<'a> {
        let entries = match self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Null => None,
            _ => self.wrong("a mapping", "Write its keys below it, indented"),
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

    /// The elements of a list. Anything else is a finding and reads as an empty list.
    pub(crate) fn list(&self) -> Vec<Self> {
        match self.value {
            Value::Sequence(values) => self.elements(values),
            _ => self
                .wrong(
                    "a list",
                    "Write [a, b], or one element per line after a dash",
                )
                .unwrap_or_default(),
        }
    }

    /// Whether there is no value: the key alone, or `null`.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Whether there is no value, or a list or mapping without entries.
    pub(crate) fn is_vacant(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::Sequence(values) => values.is_empty(),
            Value::Mapping(entries) => entries.is_empty(),
            _ => false,
        }
    }

    /// How many findings there are so far in the whole file.
    pub(crate) fn findings(&self) -> usize {
        self.reader.findings.borrow().len()
    }

    /// The elements of a list, or the single value written instead of a list.
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

    /// Text that is not empty, with variables replaced.
    pub(crate) fn text(&self) -> Option<String> {
        let text = self.any_text()?;
        if text.is_empty() {
            return self.bad(EMPTY, "Write a value, or remove the key");
        }
        Some(text)
    }

    /// Text, possibly empty, with variables replaced.
    pub(crate) fn any_text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => self.expanded(text),
            Value::Null => self.bad(EMPTY, "Write a value"),
            Value::Mapping(_) => self.wrong(
                "text",
                "Put the text in quotes: a colon followed by a space makes it a mapping",
            ),
            _ => self.wrong(
                "text",
                "Write text, and put numbers, true and false in quotes",
            ),
        }
    }

    /// Text as `parse` reads it.
    pub(crate) fn parsed<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
        fix: &str,
    ) -> Option<T> {
        match parse(&self.text()?) {
            Ok(value) => Some(value),
            Err(error) => self.bad(error, fix),
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
        let fix = match similar::nearest(&text, words.iter().copied()) {
            Some(near) => did_you_mean(near),
            None => "Use one of these values".to_owned(),
        };
        self.bad(format_args!("must be {}", alternatives(&words)), fix)
    }

    /// A file that the configuration names, relative to its directory. When the file changes, the configuration is reloaded.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let path = self.path()?;
        self.reader.files.borrow_mut().insert(path.clone());
        Some(path)
    }

    /// A path in the file system, relative to the directory of the configuration.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        Some(self.reader.base.join(self.text()?))
    }

    /// Records that a file named here cannot be used, with its full path.
    pub(crate) fn report_file(
        &self,
        path: &Path,
        error: impl fmt::Display,
        fix: impl fmt::Display,
    ) {
        self.report(format_args!("{} {error}", path.display()), fix);
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
            return self.wrong("a whole number", "Write only digits, without quotes");
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
            return self.wrong("a whole number", "Write only digits, without quotes");
        };
        self.within(count, range, usize::to_string)
    }

    /// A size within `range`, in bytes.
    pub(crate) fn size(&self, range: &RangeInclusive<usize>) -> Option<usize> {
        let Some(size) = unit::size(&self.measure()?) else {
            return self.wrong(SIZE, &format!("Write {}", unit::SIZE_FORM));
        };
        self.within(size, range, |size| unit::show_size(*size))
    }

    /// A duration within `range`.
    pub(crate) fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let Some(duration) = unit::duration(&self.measure()?) else {
            return self.wrong(DURATION, &format!("Write {}", unit::DURATION_FORM));
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
            "out of range",
            format_args!("Use a value from {least} to {most}"),
        )
    }

    /// A number or flag as text, written here or in a variable. In quotes it is text, not a number or flag.
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
                "Set the variable, or write ${NAME:-default}. Write $$ for a dollar sign",
            ),
        }
    }

    fn wrong<T>(&self, expected: &str, fix: &str) -> Option<T> {
        // The value itself may be secret, so its form is named. A text that should be a size is a text either way.
        let is_text = matches!(self.value, Value::String(text) if !text.contains("${"));
        if is_text && (expected == SIZE || expected == DURATION) {
            return self.bad(format_args!("must be {expected}"), fix);
        }
        self.bad(
            format_args!("must be {expected}, found {}", self.form()),
            fix,
        )
    }

    /// What is written here, without its content, which may be secret.
    fn form(&self) -> &'static str {
        match self.value {
            Value::Null => "no value",
            Value::Bool(_) => "a boolean",
            Value::Number(number) if number.is_u64() => "a number",
            Value::Number(number) if number.is_i64() => "a negative number",
            Value::Number(_) => "a decimal number",
            Value::String(text) if text.contains("${") => "a variable with another value",
            Value::String(_) => "text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Tagged(_) => "a tag",
        }
    }

    fn bad<T>(&self, problem: impl fmt::Display, fix: impl fmt::Display) -> Option<T> {
        self.report(problem, fix);
        None
    }
}

/// A mapping with a fixed set of keys. [`finish`](Section::finish) reports all others.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    /// None where the section is missing.
    entries: Option<&'a Mapping>,
    /// The keys read so far.
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// Records what is wrong with the section as a whole.
    pub(crate) fn report(&self, problem: impl fmt::Display, fix: impl fmt::Display) {
        self.reader.report(&self.path, problem, fix);
    }

    /// Records what is wrong at a key, which may be missing.
    pub(crate) fn report_at(&self, key: &str, problem: impl fmt::Display, fix: impl fmt::Display) {
        self.reader
            .report(&key_path::entry(&self.path, key), problem, fix);
    }

    /// The value of a key, `null` included; `None` where the key is missing.
    pub(crate) fn raw(&self, key: &'static str) -> Option<Item<'a>> {
        self.known.borrow_mut().push(key);
        let value = self.entries?.get(key)?;
        Some(self.item(key, value))
    }

    /// The value of a key. A key without a value counts as missing.
    pub(crate) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        self.raw(key).filter(|item| !item.value.is_null())
    }

    /// The value of a required key.
    pub(crate) fn required(&self, key: &'static str, fix: &str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.report_at(key, "required key is missing", fix);
        }
        item
    }

    /// The section below a key. A missing section reads as an empty one.
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

    /// The elements of the list below a key; none where the key is missing.
    pub(crate) fn list(&self, key: &'static str) -> Vec<Item<'a>> {
        self.get(key).map(|item| item.list()).unwrap_or_default()
    }

    /// The elements of the list below a required key. The list must have an element.
    pub(crate) fn required_list(&self, key: &'static str, fix: &str) -> Vec<Item<'a>> {
        let Some(item) = self.required(key, fix) else {
            return Vec::new();
        };
        if matches!(item.value, Value::Sequence(values) if values.is_empty()) {
            item.report(EMPTY, fix);
        }
        item.list()
    }

    /// The elements of the list below a key, or the single value written instead; none where the key is missing.
    pub(crate) fn one_or_many(&self, key: &'static str) -> Vec<Item<'a>> {
        self.get(key)
            .map(|item| item.one_or_many())
            .unwrap_or_default()
    }

    /// Reports each of these keys that is written without a value, or with an empty list or mapping. For rules: one reader takes an empty
    /// rule for "everybody", the other for "nobody".
    pub(crate) fn refuse_vacant(&self, keys: &[&'static str], fix: &str) {
        let written = keys.iter().filter_map(|key| self.raw(key));
        for vacant in written.filter(Item::is_vacant) {
            vacant.report(EMPTY, fix);
        }
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

    /// Reports every key that was not read.
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
            // `client_secret` instead of `client_secret_file`.
            let longer = known.iter().find(|known| {
                known
                    .strip_prefix(&*key)
                    .is_some_and(|rest| rest.starts_with('_'))
            });
            let near = similar::nearest(&key, known.iter().copied());
            let fix = match longer.copied().or(near) {
                Some(near) => did_you_mean(near),
                None => format!("Known keys here: {}", sorted(&known).join(", ")),
            };
            self.report_at(&key, "unknown key", fix);
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

/// Words as alternatives: "`a`, `b` or `c`".
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn sorted(known: &[&'static str]) -> Vec<&'static str> {
    let mut sorted = known.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// A key as it is written in the file. The first pass refused keys that are not scalars.
fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => "~".to_owned(),
    }
}
