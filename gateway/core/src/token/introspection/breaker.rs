//! When an endpoint that fails is asked again: not at once by every request, but after a pause that grows, by a single call. Instants are
//! times since the start of a clock that only goes forward.

use std::time::Duration;

use crate::http::client_address::CountedAddress;

/// The failures in a row after which the endpoint is not asked for a while.
pub const FAILURES: u32 = 5;

/// The first pause; it doubles with each call that fails after it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long other calls wait for the one that finds out whether the endpoint answers again.
const PROBE: Duration = Duration::from_secs(60);

/// How long a caller is asked to wait at least.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Whether an endpoint is asked.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Failures since the last answer.
    failures: u32,
    /// Pauses since the last answer.
    pauses: u32,
    callers: Callers,
    /// Whose token was answered with a failure by the last call that was to find out.
    probed: Option<CountedAddress>,
    state: State,
}

/// Whose calls failed since the last answer.
#[derive(Clone, Copy, Debug, Default)]
enum Callers {
    #[default]
    None,
    /// This address alone sent tokens that were answered with a failure.
    One(CountedAddress),
    /// Tokens of several addresses were, or no token was to blame.
    Several,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// Every call is made.
    #[default]
    Closed,
    /// No call is made before this instant.
    Open(Duration),
    /// One call is under way, for which the others wait until this instant at most.
    Probing(Duration),
}

impl Breaker {
    /// Whether a call may be made now.
    ///
    /// # Errors
    /// Not now: how long to wait.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Closed => Ok(()),
            State::Open(until) if now < until => Err((until - now).max(LEAST_WAIT)),
            State::Probing(until) if now < until => Err(LEAST_WAIT),
            State::Open(_) | State::Probing(_) => {
                self.state = State::Probing(now + PROBE);
                Ok(())
            }
        }
    }

    /// The endpoint answered, whatever it said.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// A call failed. `pause` is how long the endpoint wants not to be asked. Where the endpoint answered, `caller` may have sent a token
    /// that it always answers so: one address alone must not keep it from being asked about the tokens of all others.
    pub fn failed(
        &mut self,
        now: Duration,
        pause: Option<Duration>,
        caller: Option<CountedAddress>,
    ) {
        self.failures = self.failures.saturating_add(1);
        self.callers = match (self.callers, caller) {
            (Callers::None, Some(caller)) => Callers::One(caller),
            (Callers::One(one), Some(caller)) if one == caller => Callers::One(one),
            _ => Callers::Several,
        };
        let opens = match self.state {
            State::Closed => {
                let is_by_several = matches!(self.callers, Callers::Several);
                pause.is_some() || (is_by_several && self.failures >= FAILURES)
            }
            State::Probing(_) => match caller.filter(|_| pause.is_none()) {
                // It found out nothing again: the next call of anybody else does.
                Some(caller) if self.probed == Some(caller) => {
                    self.callers = Callers::One(caller);
                    self.state = State::Closed;
                    false
                }
                caller => {
                    self.probed = caller;
                    true
                }
            },
            // Calls that began before it opened.
            State::Open(_) => pause.is_some(),
        };
        if opens {
            let own = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(8));
            self.pauses = self.pauses.saturating_add(1);
            let until = now + pause.unwrap_or_else(|| own.min(LONGEST_PAUSE));
            self.state = match self.state {
                // A call that began before the pause does not shorten it.
                State::Open(open) => State::Open(open.max(until)),
                State::Closed | State::Probing(_) => State::Open(until),
            };
        }
    }

    /// Whether calls are refused.
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<CountedAddress> {
        Some(CountedAddress::of([192, 0, 2, last].into()))
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn opened(now: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now, None, None);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Duration::from_secs(9);
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breaker.failed(now, None, None);
            }
            assert!(!breaker.is_open());
            breaker.answered();
        }
        assert_eq!(opened(now).admit(now), Err(SECOND));
    }

    #[test]
    fn after_the_pause_one_call_finds_out() {
        let now = Duration::from_secs(9);
        let mut breaker = opened(now);
        let later = now + SECOND;
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Err(SECOND));
        assert!(breaker.is_open());
        breaker.answered();
        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_pause_doubles_while_the_call_fails_and_has_a_limit() {
        let mut now = Duration::from_secs(9);
        let mut breaker = opened(now);
        for expected in [2, 4, 8, 16, 30, 30] {
            now += Duration::from_secs(30);
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now, None, None);
            assert_eq!(breaker.admit(now), Err(Duration::from_secs(expected)));
        }
    }

    #[test]
    fn a_call_that_never_ended_does_not_keep_others_waiting() {
        let now = Duration::from_secs(9);
        let mut breaker = opened(now);
        assert_eq!(breaker.admit(now + SECOND), Ok(()));
        assert_eq!(breaker.admit(now + SECOND + PROBE), Ok(()));
    }

    #[test]
    fn an_endpoint_can_ask_for_a_pause() {
        let now = Duration::from_secs(9);
        let mut breaker = Breaker::default();
        breaker.failed(now, Some(90 * SECOND), None);
        assert_eq!(breaker.admit(now + SECOND), Err(89 * SECOND));
        // A call that began before the pause does not shorten it.
        breaker.failed(now, None, None);
        assert_eq!(breaker.admit(now + SECOND), Err(89 * SECOND));
        breaker.failed(now + SECOND, Some(SECOND), None);
        assert_eq!(breaker.admit(now + 3 * SECOND), Err(87 * SECOND));
        breaker.failed(now + SECOND, Some(99 * SECOND), None);
        assert_eq!(breaker.admit(now + 90 * SECOND), Err(10 * SECOND));
        assert_eq!(breaker.admit(now + 100 * SECOND), Ok(()));
    }

    #[test]
    fn tokens_of_one_address_alone_do_not_open_it() {
        let now = Duration::from_secs(9);
        let mut breaker = Breaker::default();
        for _ in 0..9 * FAILURES {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now, None, address(1));
        }
        assert!(!breaker.is_open());
        let mut others = breaker.clone();
        others.failed(now, None, address(2));
        assert!(others.is_open());
        // No token is to blame for a connection that fails.
        breaker.failed(now, None, None);
        assert!(breaker.is_open());
    }

    #[test]
    fn tokens_of_one_address_alone_do_not_keep_it_open() {
        let now = Duration::from_secs(9);
        let mut breaker = opened(now);
        let (second, third) = (now + SECOND, now + 9 * SECOND);
        assert_eq!(breaker.admit(second), Ok(()));
        breaker.failed(second, None, address(1));
        assert!(breaker.admit(second).is_err());
        assert_eq!(breaker.admit(third), Ok(()));
        breaker.failed(third, None, address(1));
        assert_eq!(breaker.admit(third), Ok(()));
        // It does fail for others.
        breaker.failed(third, None, address(2));
        assert!(breaker.is_open());
        assert!(breaker.admit(third).is_err());
    }
}
