//! Errors of conditions that cannot be compiled.

use cel::ParseErrors;

/// What is wrong with a condition's source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {problem}. {fix}")]
pub struct ConditionError {
    /// Line of the source, from 1.
    pub line: usize,
    /// Character of that line, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// How to fix it, one or two sentences.
    pub fix: String,
}

/// The problem of a condition that is nested too deeply, from the parser or from the check.
pub(crate) const TOO_DEEP: &str = "is nested too deeply";

/// The fix for [`TOO_DEEP`].
pub(crate) const FLATTER: &str = "Use fewer brackets, or `in` with a list instead of a chain.";

/// A position in a source.
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
    pub(crate) fn new(at: Spot, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            line: at.line,
            column: at.column,
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// The first error of the parser.
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
            format!("is not valid CEL: {said}"),
            "Put strings in quotes, compare with ==, and join with && or ||.",
        )
    }
}
