//! The real clock, for tokens that a real binary verifies.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the epoch.
#[allow(
    clippy::disallowed_methods,
    reason = "tokens are minted for the real clock of the real binary"
)]
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}
