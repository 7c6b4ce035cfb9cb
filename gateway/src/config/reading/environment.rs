//! Variables for `${NAME}` and `${NAME:-default}` in scalar values: the environment of the process, then the file given by
//! `--env-file`.

use std::{borrow::Cow, collections::BTreeMap, ffi::OsString, fmt, fs, path::Path};

use thiserror::Error;

use super::text::BYTE_ORDER_MARK;

/// Bytes in an environment file.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// The variables a configuration may use. `None` is a value that is not UTF-8: it is set, so no default may replace it.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Option<String>>);

/// Why an environment file cannot be used.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is larger than [`MAX_FILE_BYTES`].
    #[error("larger than {MAX_FILE_BYTES} bytes")]
    TooLarge,
    /// A line is not `NAME=value`.
    #[error("line {0} is not NAME=value")]
    Line(usize),
    /// A value without quotes contains ` #`: some programs read the rest as a comment, others as part of the value.
    #[error("line {0} has a # after a value without quotes")]
    Comment(usize),
}

/// Why a text cannot be expanded.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ExpandError {
    /// The variable is not set and has no default.
    #[error("variable ${{{0}}} is not set")]
    Unset(String),
    /// The value of the variable is not UTF-8.
    #[error("variable ${{{0}}} is not UTF-8 text")]
    NotText(String),
    /// `${` without a name and a closing brace.
    #[error("invalid variable: expected ${{NAME}} or ${{NAME:-default}}")]
    Malformed,
}

impl Environment {
    /// The environment of this process.
    pub fn process() -> Self {
        Self::of_system(std::env::vars_os())
    }

    /// No configuration can name a variable whose name is not UTF-8.
    fn of_system(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let named = variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())));
        Self(named.collect())
    }

    /// An environment with only these variables.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), Some(value.to_owned()));
        Self(variables.into_iter().map(own).collect())
    }

    /// Adds the variables of a file of `NAME=value` lines. Variables that are already set keep their value.
    ///
    /// # Errors
    /// The file cannot be read, or has a line of another form.
    pub fn with_file(mut self, path: &Path) -> Result<Self, EnvironmentError> {
        if fs::metadata(path)?.len() > MAX_FILE_BYTES {
            return Err(EnvironmentError::TooLarge);
        }
        for (name, value) in lines(&fs::read_to_string(path)?)? {
            self.0.entry(name).or_insert(Some(value));
        }
        Ok(self)
    }

    /// Replaces `${NAME}` and `${NAME:-default}` (the default applies when the variable is unset or empty), and `$$` by `$`.
    pub(crate) fn expand<'a>(&self, text: &'a str) -> Result<Cow<'a, str>, ExpandError> {
        if !text.contains('$') {
            return Ok(Cow::Borrowed(text));
        }
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            rest = if let Some(after) = after.strip_prefix('$') {
                expanded.push('$');
                after
            } else if let Some(after) = after.strip_prefix('{') {
                let (variable, after) = after.split_once('}').ok_or(ExpandError::Malformed)?;
                expanded.push_str(self.value(variable)?);
                after
            } else {
                expanded.push('$');
                after
            };
        }
        expanded.push_str(rest);
        Ok(Cow::Owned(expanded))
    }

    /// The value of the expression between the braces.
    fn value<'a>(&'a self, variable: &'a str) -> Result<&'a str, ExpandError> {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        if !is_name(name) {
            return Err(ExpandError::Malformed);
        }
        let set = match self.0.get(name) {
            Some(None) => return Err(ExpandError::NotText(name.to_owned())),
            set => set.and_then(Option::as_deref),
        };
        match default {
            Some(default) => Ok(set.filter(|value| !value.is_empty()).unwrap_or(default)),
            None => set.ok_or_else(|| ExpandError::Unset(name.to_owned())),
        }
    }
}

/// Values may be secret: only names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn lines(text: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let numbered = text
        .trim_start_matches(BYTE_ORDER_MARK)
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    let written = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    written.map(|(number, line)| pair(number, line)).collect()
}

fn pair(number: usize, line: &str) -> Result<(String, String), EnvironmentError> {
    let pair = line.split_once('=').filter(|(name, _)| is_name(name));
    let (name, value) = pair.ok_or(EnvironmentError::Line(number))?;
    let value = value.trim();
    let value = match quoted(value) {
        Some(value) => value,
        None if value.contains(" #") || value.contains("\t#") => {
            return Err(EnvironmentError::Comment(number));
        }
        None => value,
    };
    Ok((name.to_owned(), value.to_owned()))
}

/// The text within quotes; `None` without quotes.
fn quoted(value: &str) -> Option<&str> {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\''))
}

/// POSIX: letters, digits and underscores, no digit first.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(letters)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_value_that_is_not_text_is_not_replaced_by_a_default() {
        let value = OsString::from_vec(b"10.0.0.0/8\xff".to_vec());
        let environment = Environment::of_system([("NETWORK".into(), value)].into_iter());
        for text in ["${NETWORK}", "${NETWORK:-0.0.0.0/0}"] {
            let found = environment.expand(text);
            assert_eq!(found, Err(ExpandError::NotText("NETWORK".to_owned())));
        }
    }

    #[test]
    fn variables_are_replaced_in_text() {
        let environment = Environment::of([("DOMAIN", "example.com"), ("EMPTY", "")]);
        let unset = |name: &str| Err(ExpandError::Unset(name.to_owned()));
        let cases = [
            ("plain", Ok("plain")),
            ("https://${DOMAIN}/", Ok("https://example.com/")),
            ("${DOMAIN}${DOMAIN}", Ok("example.comexample.com")),
            ("${MISSING:-other}", Ok("other")),
            ("${MISSING:-}", Ok("")),
            ("${EMPTY:-other}", Ok("other")),
            ("${EMPTY}", Ok("")),
            ("${DOMAIN:-other}", Ok("example.com")),
            ("$${DOMAIN}", Ok("${DOMAIN}")),
            ("a$b", Ok("a$b")),
            ("costs $", Ok("costs $")),
            ("${MISSING}", unset("MISSING")),
            ("${DOMAIN", Err(ExpandError::Malformed)),
            ("${}", Err(ExpandError::Malformed)),
            ("${1A}", Err(ExpandError::Malformed)),
            ("${A B}", Err(ExpandError::Malformed)),
        ];
        for (text, expected) in cases {
            let expanded = environment.expand(text);
            assert_eq!(
                expanded.as_deref().map_err(|error| error.to_string()),
                expected.map_err(|error| error.to_string()),
                "{text}"
            );
        }
    }

    #[test]
    fn the_value_of_a_variable_is_not_expanded_again() {
        let environment = Environment::of([("A", "${B}"), ("B", "b")]);
        assert_eq!(environment.expand("${A}").unwrap(), "${B}");
    }

    #[test]
    fn a_file_adds_what_the_environment_lacks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        fs::write(
            &path,
            "\u{feff}# comment\n\nA=file\nB=\"two words\"\nC='x # y'\nD=a=b#c\n",
        )
        .unwrap();
        let environment = Environment::of([("A", "process")])
            .with_file(&path)
            .unwrap();
        assert_eq!(
            environment.expand("${A} ${B} ${C} ${D}").unwrap(),
            "process two words x # y a=b#c"
        );
    }

    #[test]
    fn a_file_with_other_lines_is_refused() {
        for (text, line) in [
            ("A=1\nnonsense\n", 2),
            ("export A=1\n", 1),
            ("=1\n", 1),
            ("A-B=1\n", 1),
        ] {
            let Err(EnvironmentError::Line(found)) = lines(text) else {
                panic!("{text:?} was accepted");
            };
            assert_eq!(found, line, "{text:?}");
        }
    }

    #[test]
    fn a_comment_after_a_value_is_refused() {
        for text in ["A=b # note\n", "A=b\t# note\n", "A=\"b\" # note\n"] {
            let refused = lines(text);
            assert!(
                matches!(refused, Err(EnvironmentError::Comment(1))),
                "{text:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", Environment::of([("PASSWORD", "hunter2")]));
        assert!(
            shown.contains("PASSWORD") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
