//! Findings: what is wrong with a configuration, where, and how to fix it.

use std::{cmp::Ordering, fmt, path::Path};

use super::environment::EnvironmentError;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The key path, such as `resources[0].policy.default`; empty for the file as a whole.
    pub path: String,
    /// Line in the file, from 1; 0 where the file could not be read.
    pub line: usize,
    /// Column in characters, from 1; 0 where the file could not be read.
    pub column: usize,
    /// What is wrong: a clause without a full stop, such as `unknown key`.
    pub problem: String,
    /// How to fix it: an imperative sentence without a full stop, or a question with its question mark.
    pub fix: String,
}

impl Finding {
    /// This finding as one line, `FILE:LINE:COLUMN: key.path: problem. Fix.`
    pub fn in_file<'a>(&'a self, file: &'a Path) -> impl fmt::Display + 'a {
        Line {
            finding: self,
            file,
        }
    }

    /// A finding about the whole file, when it could not be read.
    pub(crate) fn of_file(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            line: 0,
            column: 0,
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// A finding about the environment file.
    pub(crate) fn of_env_file(path: &Path, error: &EnvironmentError) -> Self {
        let problem = format!("environment file {}: {error}", path.display());
        let fix = match error {
            EnvironmentError::Unreadable(_) => "Check the path and the permissions",
            EnvironmentError::TooLarge => "Check that this is the environment file",
            EnvironmentError::Line(_) => "Use only NAME=value lines, # comments and empty lines",
            EnvironmentError::Comment(_) => {
                "Move the comment to its own line, or put the value in quotes"
            }
        };
        Self::of_file(problem, fix)
    }

    /// The order in which findings are reported: by their place in the file.
    pub(crate) fn in_order(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.line, finding.column);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.path.cmp(&other.path))
    }
}

struct Line<'a> {
    finding: &'a Finding,
    file: &'a Path,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            path,
            line,
            column,
            problem,
            fix,
        } = self.finding;
        write!(f, "{}", self.file.display())?;
        if *line > 0 {
            write!(f, ":{line}:{column}")?;
        }
        if !path.is_empty() {
            write!(f, ": {path}")?;
        }
        let stop = if fix.ends_with('?') { "" } else { "." };
        write!(f, ": {problem}. {fix}{stop}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding {
            path: "listen[0].address".to_owned(),
            line: 3,
            column: 5,
            problem: "required key is missing".to_owned(),
            fix: "Set an address".to_owned(),
        };
        let line = finding.in_file(Path::new("gateway.yaml")).to_string();
        assert_eq!(
            line,
            "gateway.yaml:3:5: listen[0].address: required key is missing. Set an address."
        );
    }

    #[test]
    fn a_question_ends_with_its_question_mark() {
        let finding = Finding::of_file("unknown key", "Did you mean `listen`?");
        let line = finding.in_file(Path::new("gateway.yaml")).to_string();
        assert_eq!(line, "gateway.yaml: unknown key. Did you mean `listen`?");
    }

    #[test]
    fn a_finding_about_the_whole_file_has_no_position() {
        let finding = Finding::of_file("cannot be read", "Check the path");
        let line = finding.in_file(Path::new("gateway.yaml")).to_string();
        assert_eq!(line, "gateway.yaml: cannot be read. Check the path.");
    }
}
