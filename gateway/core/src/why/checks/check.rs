//! One check of a token.

use crate::refusal::reason::Reason;

/// One check of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked, in one or two words. It does not change: programs read it.
    pub name: &'static str,
    /// What would pass.
    pub expected: String,
    /// What the token has.
    pub found: String,
    /// The outcome.
    pub decision: Decision,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The token has what is expected.
    Passed,
    /// It has not.
    Refused(Reason),
    /// What the check needs is not known, because another check failed.
    NotReached,
}

impl Check {
    /// A check with this outcome; none where it could not be made.
    pub(super) fn new(
        name: &'static str,
        expected: impl Into<String>,
        found: impl Into<String>,
        outcome: Option<Result<(), Reason>>,
    ) -> Self {
        Self {
            name,
            expected: expected.into(),
            found: found.into(),
            decision: match outcome {
                None => Decision::NotReached,
                Some(Ok(())) => Decision::Passed,
                Some(Err(reason)) => Decision::Refused(reason),
            },
        }
    }

    /// Why it refuses the token, if it does.
    pub const fn refusal(&self) -> Option<Reason> {
        match self.decision {
            Decision::Refused(reason) => Some(reason),
            Decision::Passed | Decision::NotReached => None,
        }
    }
}
