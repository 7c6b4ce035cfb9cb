//! The pause between two fetches of an issuer's keys.

use std::time::Duration;

/// The first pause after a failed fetch; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after this many failed fetches in a row: `refresh` after none, else growing, and never more than `refresh`.
pub(crate) fn fetch_pause(failures: u32, refresh: Duration) -> Duration {
    if failures == 0 {
        return refresh;
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6));
    with_jitter(doubled.min(LONGEST_PAUSE).min(refresh), 0.5)
}

/// Between the share `least` of `pause` and all of it, so that not all fetch or ask at the same time.
pub(crate) fn with_jitter(pause: Duration, least: f64) -> Duration {
    let mut random = [0_u8; 2];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        return pause;
    }
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    pause.mul_f64(least + share * (1.0 - least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn after_success_the_pause_is_the_refresh_itself() {
        assert_eq!(fetch_pause(0, HOUR), HOUR);
    }

    #[test]
    fn the_pause_doubles_with_each_failure_up_to_a_minute() {
        for (failures, seconds) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (6, 32),
            (7, 60),
            (8, 60),
            (u32::MAX, 60),
        ] {
            let longest = Duration::from_secs(seconds);
            for _ in 0..50 {
                let pause = fetch_pause(failures, HOUR);
                assert!(
                    pause >= longest / 2 && pause <= longest,
                    "{failures}: {pause:?}"
                );
            }
        }
    }

    #[test]
    fn the_pause_after_a_failure_is_never_longer_than_the_refresh() {
        let refresh = Duration::from_secs(3);
        for failures in 1..20 {
            assert!(fetch_pause(failures, refresh) <= refresh);
        }
    }

    #[test]
    fn replicas_that_fail_together_do_not_fetch_together() {
        let pauses: std::collections::BTreeSet<_> = (0..20).map(|_| fetch_pause(7, HOUR)).collect();
        assert!(pauses.len() > 10, "{pauses:?}");
    }
}
