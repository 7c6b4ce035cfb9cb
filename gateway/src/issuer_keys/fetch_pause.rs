//! How long to pause between two fetches of an issuer's keys.

use std::time::Duration;

/// The first pause after a failed fetch; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after so many failed fetches in a row: `refresh` after none, else growing, and never more than `refresh`.
pub(crate) fn fetch_pause(failures: u32, refresh: Duration) -> Duration {
    if failures == 0 {
        return refresh;
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6));
    with_jitter(doubled.min(LONGEST_PAUSE).min(refresh))
}

/// Between half and the whole of `pause`, so that replicas do not ask together.
fn with_jitter(pause: Duration) -> Duration {
    let mut random = [0_u8; 2];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        return pause;
    }
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    pause.mul_f64(0.5 + share / 2.0)
}
