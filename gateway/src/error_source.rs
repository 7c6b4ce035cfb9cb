//! What an error says at its bottom.

use std::error::Error;

/// The cause at the bottom of an error chain, which names the fact (`connection refused`), not the layers above it.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
