//! A pause that doubles with each failure in a row, up to a limit.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// The pause after so many others in a row.
pub(super) fn after(others: u32) -> Duration {
    FIRST.saturating_mul(1 << others.min(8)).min(LONGEST)
}
