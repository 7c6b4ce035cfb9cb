//! What is wrong with a configuration, where, and how to mend it.

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
    /// What is wrong, without a full stop.
    pub problem: String,
    /// How to mend it, without a full stop.
    pub mend: String,
}

impl Finding {
    /// This finding as one line, `FILE:LINE:COLUMN: key.path: problem. How to mend.`
    pub fn in_file<'a>(&'a self, file: &'a Path) -> impl fmt::Display + 'a {
        Line {
            finding: self,
            file,
        }
    }

    /// A finding about the file as a whole, before any of it was read.
    pub(crate) fn of_file(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            line: 0,
            column: 0,
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    /// A finding about the environment file.
    pub(crate) fn of_env_file(path: &Path, error: &EnvironmentError) -> Self {
        let problem = format!(
            "needs the environment file {}, which {error}",
            path.display()
        );
        let mend = match error {
            EnvironmentError::Unreadable(_) => "Check the name and the permissions",
            EnvironmentError::TooLarge => "Is this the environment file",
            EnvironmentError::Line(_) => "Write NAME=value lines, # comments and empty lines",
            EnvironmentError::Comment(_) => {
                "Give the comment a line of its own, or put the value in quotes"
            }
        };
        Self::of_file(problem, mend)
    }

    /// The order in which findings are told: as they stand in the file.
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
            mend,
        } = self.finding;
        write!(f, "{}", self.file.display())?;
        if *line > 0 {
            write!(f, ":{line}:{column}")?;
        }
        if !path.is_empty() {
            write!(f, ": {path}")?;
        }
        write!(f, ": {problem}. {mend}.")
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
            problem: "is missing".to_owned(),
            mend: "Write one".to_owned(),
        };
        let line = finding.in_file(Path::new("gateway.yaml")).to_string();
        assert_eq!(
            line,
            "gateway.yaml:3:5: listen[0].address: is missing. Write one."
        );
    }

    #[test]
    fn a_finding_about_the_whole_file_has_no_position() {
        let finding = Finding::of_file("cannot be read", "Check its name");
        let line = finding.in_file(Path::new("gateway.yaml")).to_string();
        assert_eq!(line, "gateway.yaml: cannot be read. Check its name.");
    }
}
