//! What people read of a condition that cannot be compiled.

use cel::ParseErrors;

/// What is wrong with a condition's source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}. {mend}")]
pub struct ConditionError {
    /// Line of the source, from 1.
    pub line: usize,
    /// Character of that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// How to mend it, one sentence or two.
    pub mend: String,
}

/// What is said of a condition whose parts stand in one another too often, by the parser or by the check.
pub(crate) const TOO_DEEP: &str = "has too many parts within one another";

/// How that is mended.
pub(crate) const FLATTER: &str = "Use fewer brackets, or in with a list instead of a chain.";

/// Where in a source something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    line: usize,
    column: usize,
}

impl Spot {
    /// The first character.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The character that has this many bytes before it.
    pub(crate) fn of(source: &str, bytes: u32) -> Self {
        let before = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut spot = Self::START;
        let characters = source.char_indices();
        for (_, character) in characters.take_while(|(at, _)| *at < before) {
            if character == '\n' {
                spot.line += 1;
                spot.column = 1;
            } else {
                spot.column += 1;
            }
        }
        spot
    }
}

impl ConditionError {
    pub(crate) fn new(at: Spot, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            line: at.line,
            column: at.column,
            problem: problem.into(),
            mend: mend.into(),
        }
    }

    /// The first thing the parser stumbled over.
    pub(crate) fn syntax(errors: &ParseErrors) -> Self {
        let first = errors.errors.first();
        let (line, column) = first.map_or((0, 0), |error| error.pos);
        let known = |number: isize| usize::try_from(number).ok().filter(|number| *number > 0);
        let at = Spot {
            line: known(line).unwrap_or(1),
            column: known(column).unwrap_or(1),
        };
        let said = first.map_or("", |error| error.msg.as_str());
        let said = said.strip_prefix("Syntax error: ").unwrap_or(said);
        if said.contains("Recursion limit") {
            return Self::new(at, TOO_DEEP, FLATTER);
        }
        let said = said.lines().next().unwrap_or_default();
        Self::new(
            at,
            format!("is no CEL: {said}"),
            "Text stands in quotes, == compares, && and || join.",
        )
    }
}
