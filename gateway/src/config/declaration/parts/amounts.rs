//! Units for declarations.

use std::time::Duration;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
pub(crate) const GIB: usize = 1 << 30;

/// The shortest deadline that is accepted: anything less is a mistake.
pub(crate) const MOMENT: Duration = Duration::from_millis(10);
pub(crate) const ZERO: Duration = Duration::ZERO;
pub(crate) const SECOND: Duration = seconds(1);
pub(crate) const MINUTE: Duration = minutes(1);
pub(crate) const HOUR: Duration = minutes(60);
pub(crate) const DAY: Duration = days(1);

pub(crate) const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn minutes(count: u64) -> Duration {
    seconds(count * 60)
}

pub(crate) const fn days(count: u64) -> Duration {
    minutes(count * 24 * 60)
}
