//! How long an assertion holds, and how long it is sent. It never outlives the token of the caller.

use std::time::Duration;

use crate::time::UnixTime;

/// What is left of an assertion when it is sent for the last time, at least: time to reach the upstream, whose clock differs.
const LEFT: Duration = Duration::from_secs(10);

/// When an assertion holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `iat`.
    pub issued: UnixTime,
    /// `exp`.
    pub expires: UnixTime,
    /// From when on it is not sent any more.
    sent_until: UnixTime,
}

impl Window {
    /// The window of an assertion that is signed now: `lifetime`, or less where the token ends earlier ([`bound`]).
    ///
    /// One that ends with the token is sent until then. Another one is replaced 10 s before it expires, or a quarter of its
    /// lifetime if that is shorter.
    pub fn new(now: UnixTime, lifetime: Duration, bound: Option<UnixTime>) -> Self {
        let expires = bound.unwrap_or_else(|| now.plus(lifetime));
        let sent_until = match bound {
            Some(end) => end,
            None => expires.minus(LEFT.min(lifetime / 4)),
        };
        Self {
            issued: now,
            expires,
            sent_until,
        }
    }

    /// Whether it is sent at this instant. A clock that was set back replaces it.
    pub fn is_sent_at(&self, now: UnixTime) -> bool {
        self.issued <= now && now < self.sent_until
    }
}

/// When a token ends for its assertions: at `exp`, or, within the clock skew after it, when the token is not accepted any more.
pub fn token_end(expires: UnixTime, accepted_until: UnixTime, now: UnixTime) -> UnixTime {
    match now < expires {
        true => expires,
        false => accepted_until,
    }
}

/// The end of a token that ends before an assertion signed now would expire; none for any other token. Tokens with the same bound
/// can share an assertion: where it is none, every assertion that is sent now expires before the token does.
pub fn bound(now: UnixTime, lifetime: Duration, token_end: UnixTime) -> Option<UnixTime> {
    (token_end < now.plus(lifetime)).then_some(token_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(seconds)
    }

    #[test]
    fn it_is_sent_until_little_of_it_is_left() {
        let window = Window::new(at(100), LIFETIME, None);
        assert_eq!((window.issued, window.expires), (at(100), at(160)));
        for (now, expected) in [(99, false), (100, true), (149, true), (150, false)] {
            assert_eq!(window.is_sent_at(at(now)), expected, "{now}");
        }
        let short = Window::new(at(100), Duration::from_secs(8), None);
        assert!(short.is_sent_at(at(105)) && !short.is_sent_at(at(106)));
    }

    #[test]
    fn it_never_outlives_the_token() {
        for token in [0, 1, 5, 30, 59, 60, 61, 600] {
            for later in 0..60 {
                // Signed at 100 for this token, and sent later for it, or for another one with the same bound.
                let signed = bound(at(100), LIFETIME, at(100 + token));
                let window = Window::new(at(100), LIFETIME, signed);
                let now = at(100 + later);
                for other in [0, 1, 5, 30, 59, 60, 61, 600] {
                    let end = at(100 + other);
                    let is_shared = bound(now, LIFETIME, end) == signed;
                    if is_shared && window.is_sent_at(now) {
                        assert!(window.expires <= end, "{token} {later} {other}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_token_within_the_clock_skew_ends_when_it_is_not_accepted_any_more() {
        for (now, expected) in [(99, 100), (100, 130), (129, 130)] {
            assert_eq!(token_end(at(100), at(130), at(now)), at(expected), "{now}");
        }
    }
}
