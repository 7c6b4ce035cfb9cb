//! Times for people.

use std::time::Duration;

use crate::time::UnixTime;

/// A duration: the two largest units.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// An instant, in seconds since the epoch, and how far it is from `now`.
pub(super) fn moment(at: UnixTime, now: UnixTime) -> String {
    match at > now {
        true => format!("{}, in {}", at.secs(), span(at.since(now))),
        false => format!("{}, {} ago", at.secs(), span(now.since(at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_its_distance() {
        let now = UnixTime::new(1_000_000);
        for (at, expected) in [
            (1_000_030, "1000030, in 30 s"),
            (1_000_000, "1000000, 0 s ago"),
            (999_000, "999000, 16 min 40 s ago"),
            (900_000, "900000, 1 d 3 h ago"),
        ] {
            assert_eq!(moment(UnixTime::new(at), now), expected);
        }
    }
}
