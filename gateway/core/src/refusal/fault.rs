//! A reason with what was found and what was expected, for the operator alone: the client reads the reason's sentence.

use std::borrow::Cow;

use super::Refusal;
use super::reason::Reason;

/// Why something is refused, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reason.
    pub reason: Reason,
    /// What was found and what was expected: for the log. Empty where the reason says it all.
    pub detail: Cow<'static, str>,
    /// The detail names a limit and its value.
    pub names_limit: bool,
}

impl Fault {
    /// A reason with its detail.
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            names_limit: false,
        }
    }

    /// A reason with the limit that was exceeded.
    pub fn limit(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            names_limit: true,
            ..Self::new(reason, detail)
        }
    }
}

impl From<Reason> for Fault {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

impl From<Fault> for Refusal {
    fn from(Fault { reason, detail, .. }: Fault) -> Self {
        Self {
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            ..reason.into()
        }
    }
}
