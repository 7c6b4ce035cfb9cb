//! Wall-clock time as a value: the rim passes it in, the core never reads a clock.

use std::time::Duration;

/// Whole seconds since 1970-01-01T00:00:00Z (RFC 7519 `NumericDate`, truncated to seconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(i64);

impl UnixTime {
    /// A time from seconds since the epoch.
    pub const fn new(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn secs(self) -> i64 {
        self.0
    }

    /// This time moved into the future, at most to the largest time that can be represented.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(whole(by)))
    }

    /// This time moved into the past, at most to the smallest time that can be represented.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(whole(by)))
    }

    /// How long from `earlier` until this time; zero when this time is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
