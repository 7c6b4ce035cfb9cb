//! The root cause of an error.

use std::error::Error;

/// The last error of the chain: the fact (`connection refused`), without the layers above it.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
