//! The weight of an endpoint that is new or back: it grows to its configured one, so that caches and pools fill before all calls come.

use std::time::Duration;

/// The time in which an endpoint gets its whole share.
pub const SLOW_START: Duration = Duration::from_secs(30);

/// The first part of the share is one of this many.
const FIRST_PART: u32 = 10;

/// What a weight of 1 is in full, so that parts of it are whole numbers.
pub const FULL: u32 = 1000;

/// The weight of an endpoint `age` after it was new or back.
pub fn weight_at(configured: u32, age: Duration) -> u32 {
    let full = configured.saturating_mul(FULL);
    if age >= SLOW_START {
        return full;
    }
    let age = age.max(SLOW_START / FIRST_PART).as_millis();
    let part = u128::from(full) * age / SLOW_START.as_millis();
    u32::try_from(part).unwrap_or(full).max(configured.min(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_grows_to_the_configured_one() {
        for (seconds, expected) in [
            (0, 200),
            (3, 200),
            (6, 400),
            (15, 1000),
            (30, 2000),
            (999, 2000),
        ] {
            let found = weight_at(2, Duration::from_secs(seconds));
            assert_eq!(found, expected, "{seconds} s");
        }
    }

    #[test]
    fn it_never_shrinks_and_never_vanishes() {
        for configured in [1, 7, 1000, u32::MAX] {
            let ages = (0..=31_000).step_by(250).map(Duration::from_millis);
            let weights: Vec<_> = ages.map(|age| weight_at(configured, age)).collect();
            assert!(weights.is_sorted(), "{configured}");
            assert!(weights.iter().all(|weight| *weight > 0), "{configured}");
        }
        assert_eq!(weight_at(0, Duration::ZERO), 0);
    }
}
