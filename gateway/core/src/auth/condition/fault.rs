//! What may be told of a condition that failed: how, never with which values, for they are the caller's.

use cel::ExecutionError;

/// The words for an error.
pub(super) const fn words(error: &ExecutionError) -> &'static str {
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
            "a claim or argument that it reads has another type"
        }
        ExecutionError::FunctionError { .. } => "a function cannot take the value it is given",
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "it divides by zero"
        }
        ExecutionError::Overflow(..) => "a number or time is out of range",
        ExecutionError::IndexOutOfBounds(_) => "a list that it reads is too short",
        ExecutionError::DuplicateKey(_) => "a map that it makes repeats a name",
        _ => "it cannot be evaluated",
    }
}
