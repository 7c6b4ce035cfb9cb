//! Duration and load: full, for the published figures, or shortened, as a part of every test run.

use std::time::Duration;

/// The environment variable that asks for full length.
const VARIABLE: &str = "RELIABILITY";

/// The size of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Minutes, on any change.
    Short,
    /// Long enough for figures that can be published.
    Full,
}

impl Scale {
    /// Full with `RELIABILITY=full`.
    pub fn from_environment() -> Self {
        if std::env::var(VARIABLE).is_ok_and(|value| value == "full") {
            Self::Full
        } else {
            Self::Short
        }
    }

    /// One of two counts.
    pub fn count(self, short: usize, full: usize) -> usize {
        match self {
            Self::Short => short,
            Self::Full => full,
        }
    }

    /// One of two lengths, in seconds.
    pub fn seconds(self, short: u64, full: u64) -> Duration {
        Duration::from_secs(match self {
            Self::Short => short,
            Self::Full => full,
        })
    }
}
