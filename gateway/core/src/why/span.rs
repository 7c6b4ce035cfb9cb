//! Times for people.

use std::time::Duration;

use chrono::DateTime;

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

/// An instant, and how far it is from `now`. One that no calendar has is in seconds since the epoch.
pub(super) fn moment(at: UnixTime, now: UnixTime) -> String {
    let date = DateTime::from_timestamp(at.secs(), 0);
    let date = date.map_or_else(|| at.secs().to_string(), |date| date.to_string());
    match at > now {
        true => format!("{date}, in {}", span(at.since(now))),
        false => format!("{date}, {} ago", span(now.since(at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_its_distance() {
        let now = UnixTime::new(1_000_000);
        for (at, expected) in [
            (1_000_030, "1970-01-12 13:47:10 UTC, in 30 s"),
            (1_000_000, "1970-01-12 13:46:40 UTC, 0 s ago"),
            (999_000, "1970-01-12 13:30:00 UTC, 16 min 40 s ago"),
            (900_000, "1970-01-11 10:00:00 UTC, 1 d 3 h ago"),
        ] {
            assert_eq!(moment(UnixTime::new(at), now), expected);
        }
        let never = moment(UnixTime::new(i64::MAX), now);
        assert!(never.starts_with("9223372036854775807, in "), "{never}");
    }
}
