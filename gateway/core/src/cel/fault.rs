//! Why a condition could not be evaluated. It says how the condition failed, never with which values: they are the caller's.

use cel::ExecutionError;

/// Why a condition could not be evaluated. The call is then refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFault {
    /// It failed: the cause, without the values.
    #[error("the condition failed: {0}")]
    Error(&'static str),
    /// It is neither true nor false.
    #[error("the condition is neither true nor false")]
    NotBoolean,
    /// Its evaluation panicked, which is a defect.
    #[error("the condition could not be evaluated")]
    Panic,
}

impl ConditionFault {
    /// The metric label.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Error(_) => "error",
            Self::NotBoolean => "not_boolean",
            Self::Panic => "panic",
        }
    }
}

/// The text for an error.
pub(crate) const fn description(error: &ExecutionError) -> &'static str {
    match error {
        // All names were checked when the condition was compiled: what is not found is a member.
        ExecutionError::NoSuchKey(_) | ExecutionError::UndeclaredReference(_) => {
            "a claim or argument that it reads is missing"
        }
        ExecutionError::NoSuchOverload(_)
        | ExecutionError::UnexpectedType { .. }
        | ExecutionError::UnsupportedBinaryOperator(..)
        | ExecutionError::ValuesNotComparable(..)
        | ExecutionError::UnsupportedKeyType(_) => {
            "a claim or argument that it reads has the wrong type"
        }
        ExecutionError::FunctionError { .. } => "a function does not accept its argument",
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero"
        }
        ExecutionError::Overflow(..) => "a number or time is out of range",
        ExecutionError::IndexOutOfBounds(_) => "a list that it reads is too short",
        ExecutionError::DuplicateKey(_) => "it writes a map with a repeated name",
        _ => "it cannot be evaluated",
    }
}
