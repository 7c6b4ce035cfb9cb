//! When an endpoint that fails is asked again: not at once by every request, but after a pause that grows, by a single call.
//!
//! What a token may have caused stops the questions about this token alone ([`TokenPauses`]): no number of tokens, from any number of
//! addresses, stops those about others. Failures open the breaker only where no usable answer came since their calls began. Instants are
//! times since the start of a clock that only goes forward.

use std::time::Duration;

use super::growing_pause;
use super::token_pauses::{TokenDigest, TokenPauses};

/// The failures in a row after which the endpoint is not asked for a while.
pub const FAILURES: u32 = 5;

/// How long other calls wait for the one that finds out whether the endpoint answers again.
const PROBE: Duration = Duration::from_secs(60);

/// How long a caller is asked to wait at least.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Whether an endpoint is asked.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Failures of the endpoint since the last usable answer.
    failures: u32,
    /// Pauses since the last usable answer.
    pauses: u32,
    state: State,
    /// When the last pause was set.
    paused: Duration,
    /// When the last usable answer came.
    answered: Option<Duration>,
    tokens: TokenPauses,
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

/// Why a call may not be made now, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The endpoint fails, or asked for a pause.
    Endpoint(Duration),
    /// The endpoint gave an unusable answer about this token.
    Token(Duration),
}

impl Breaker {
    /// Whether a call about this token may be made now.
    ///
    /// # Errors
    /// Not now: how long to wait.
    pub fn admit(&mut self, token: &TokenDigest, now: Duration) -> Result<(), NotNow> {
        if let Some(wait) = self.tokens.wait(token, now) {
            return Err(NotNow::Token(wait.max(LEAST_WAIT)));
        }
        match self.state {
            State::Closed => Ok(()),
            State::Open(until) if now < until => {
                Err(NotNow::Endpoint((until - now).max(LEAST_WAIT)))
            }
            State::Probing(until) if now < until => Err(NotNow::Endpoint(LEAST_WAIT)),
            State::Open(_) | State::Probing(_) => {
                self.state = State::Probing(now + PROBE);
                Ok(())
            }
        }
    }

    /// The endpoint gave a usable answer, yes or no, to a call that began then. A call from before a pause does not end it.
    pub fn answered(&mut self, began: Duration, now: Duration) {
        if self.is_open() && began <= self.paused {
            return;
        }
        *self = Self {
            answered: Some(now),
            ..Self::default()
        };
    }

    /// A call about this token, which began then, got an unusable answer that the token may have caused.
    pub fn failed_for(&mut self, token: &TokenDigest, began: Duration, now: Duration) {
        self.tokens.failed(token, now);
        if matches!(self.state, State::Probing(_)) && began > self.paused {
            // The call found out nothing: those about other tokens do. One more failure of the endpoint opens it again.
            self.state = State::Closed;
        }
    }

    /// The endpoint failed in a call that began then. `pause` is how long it wants not to be asked.
    pub fn failed(&mut self, began: Duration, now: Duration, pause: Option<Duration>) {
        if let Some(pause) = pause {
            return self.open(now, pause);
        }
        let is_answering = self.answered.is_some_and(|answered| began < answered);
        let is_before_pause = self.is_open() && began <= self.paused;
        if is_answering || is_before_pause {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES || self.is_open() {
            self.open(now, growing_pause::after(self.pauses));
        }
    }

    fn open(&mut self, now: Duration, pause: Duration) {
        self.pauses = self.pauses.saturating_add(1);
        self.paused = now;
        let until = now + pause;
        self.state = match self.state {
            // A later failure does not shorten it.
            State::Open(open) => State::Open(open.max(until)),
            State::Closed | State::Probing(_) => State::Open(until),
        };
    }

    /// Whether calls about all tokens are refused.
    pub const fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLISECOND: Duration = Duration::from_millis(1);
    const START: Duration = Duration::from_secs(9);

    fn token(number: u32) -> TokenDigest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn admit(breaker: &mut Breaker, now: Duration) -> Result<(), NotNow> {
        breaker.admit(&token(0), now)
    }

    fn wait(seconds: u32) -> Result<(), NotNow> {
        Err(NotNow::Endpoint(seconds * SECOND))
    }

    /// A breaker that was opened then, by calls that failed at once.
    fn opened(now: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(admit(&mut breaker, now), Ok(()));
            breaker.failed(now, now, None);
        }
        breaker
    }

    /// An endpoint of the test: what it does with the call about this token, which began then.
    type Endpoint = fn(&mut Breaker, u32, Duration);

    const GONE: Endpoint = |breaker, _, now| breaker.failed(now, now + MILLISECOND, None);
    const WELL: Endpoint = |breaker, _, now| breaker.answered(now, now + MILLISECOND);
    const BROKEN: Endpoint =
        |breaker, number, now| breaker.failed_for(&token(number), now, now + MILLISECOND);

    /// How many questions an endpoint gets in ten minutes, if so many callers have a token each and try it every second.
    fn questions(endpoint: Endpoint, tokens: u32) -> u32 {
        let (mut breaker, mut asked) = (Breaker::default(), 0);
        for second in 0..600 {
            for number in 0..tokens {
                let now = START + second * SECOND + number * MILLISECOND;
                if breaker.admit(&token(number), now).is_ok() {
                    asked += 1;
                    endpoint(&mut breaker, number, now);
                }
            }
        }
        asked
    }

    #[test]
    fn an_endpoint_that_is_down_is_left_alone() {
        assert_eq!(questions(WELL, 100), 60_000);
        // Five, then one for each pause: 1, 2, 4, 8, 16, and 30 seconds from then on.
        let asked = questions(GONE, 100);
        assert!((FAILURES..=FAILURES + 25).contains(&asked), "{asked}");
    }

    #[test]
    fn an_endpoint_that_fails_at_every_token_is_asked_about_each_of_them_seldom() {
        let asked = questions(BROKEN, 100);
        assert!((100..=100 * 26).contains(&asked), "{asked}");
    }

    #[test]
    fn tokens_at_which_an_endpoint_fails_stop_no_question_about_another() {
        for attackers in [1, 2, 50] {
            let (mut breaker, mut number) = (opened(START), 1_000);
            for second in 1..600 {
                let now = START + second * SECOND;
                // Each address of the attacker sends tokens just before everybody else, one of them again and again.
                for address in 0..10 * attackers {
                    let stranger = match address % 10 {
                        0 => 7,
                        _ => number + address,
                    };
                    let began = now - MILLISECOND;
                    if breaker.admit(&token(stranger), began).is_ok() {
                        BROKEN(&mut breaker, stranger, began);
                    }
                }
                number += 10 * attackers;
                // Good tokens are rarely asked about, each for the first time.
                if second % 7 == 3 {
                    assert_eq!(breaker.admit(&token(number), now), Ok(()), "{second}");
                    WELL(&mut breaker, number, now);
                    number += 1;
                }
            }
        }
    }

    #[test]
    fn tokens_that_take_long_open_nothing_while_others_are_answered() {
        let mut breaker = Breaker::default();
        for round in 0..9 {
            let began = START + round * 10 * SECOND;
            breaker.answered(began + SECOND, began + 2 * SECOND);
            for _ in 0..9 * FAILURES {
                breaker.failed(began, began + 10 * SECOND, None);
            }
            assert!(!breaker.is_open());
        }
        // Nobody is answered any more.
        for _ in 0..FAILURES {
            breaker.failed(START + 90 * SECOND, START + 100 * SECOND, None);
        }
        assert!(breaker.is_open());
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        for round in 0..3 {
            let now = START + round * SECOND;
            for _ in 1..FAILURES {
                breaker.failed(now, now, None);
            }
            assert!(!breaker.is_open());
            breaker.answered(now, now);
        }
        assert_eq!(admit(&mut opened(START), START), wait(1));
    }

    #[test]
    fn after_the_pause_one_call_finds_out() {
        let mut breaker = opened(START);
        let later = START + SECOND;
        assert_eq!(admit(&mut breaker, later), Ok(()));
        assert_eq!(admit(&mut breaker, later), wait(1));
        assert!(breaker.is_open());
        breaker.answered(later, later);
        assert_eq!(admit(&mut breaker, later), Ok(()));
        assert_eq!(admit(&mut breaker, later), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_pause_doubles_while_the_call_fails_and_has_a_limit() {
        let (mut breaker, mut now) = (opened(START), START);
        for expected in [2, 4, 8, 16, 30, 30] {
            now += 30 * SECOND;
            assert_eq!(admit(&mut breaker, now), Ok(()));
            breaker.failed(now, now, None);
            assert_eq!(admit(&mut breaker, now), wait(expected));
        }
    }

    #[test]
    fn a_call_that_finds_out_nothing_lets_others_find_out() {
        let mut breaker = opened(START);
        let later = START + SECOND;
        assert_eq!(breaker.admit(&token(1), later), Ok(()));
        breaker.failed_for(&token(1), later, later);
        assert_eq!(
            breaker.admit(&token(1), later),
            Err(NotNow::Token(SECOND)),
            "its own token waits"
        );
        assert_eq!(breaker.admit(&token(2), later), Ok(()));
        // The endpoint is still down.
        breaker.failed(later, later, None);
        assert_eq!(breaker.admit(&token(3), later), wait(2));
    }

    #[test]
    fn a_usable_answer_ends_the_pauses_of_all_tokens() {
        let mut breaker = Breaker::default();
        for number in 0..9 {
            breaker.failed_for(&token(number), START, START);
            assert!(breaker.admit(&token(number), START).is_err());
        }
        breaker.answered(START, START);
        for number in 0..9 {
            assert_eq!(breaker.admit(&token(number), START), Ok(()));
        }
    }

    #[test]
    fn a_call_that_never_ended_does_not_keep_others_waiting() {
        let mut breaker = opened(START);
        assert_eq!(admit(&mut breaker, START + SECOND), Ok(()));
        assert_eq!(admit(&mut breaker, START + SECOND + PROBE), Ok(()));
    }

    #[test]
    fn an_endpoint_can_ask_for_a_pause() {
        let mut breaker = Breaker::default();
        let second = START + SECOND;
        breaker.failed(START, START, Some(90 * SECOND));
        assert_eq!(admit(&mut breaker, second), wait(89));
        // A call that began before the pause does not shorten it.
        breaker.failed(START, START, None);
        assert_eq!(admit(&mut breaker, second), wait(89));
        breaker.failed(START, second, Some(SECOND));
        assert_eq!(admit(&mut breaker, START + 3 * SECOND), wait(87));
        breaker.failed(START, second, Some(99 * SECOND));
        assert_eq!(admit(&mut breaker, START + 90 * SECOND), wait(10));
        assert_eq!(admit(&mut breaker, START + 100 * SECOND), Ok(()));
    }

    #[test]
    fn a_call_that_began_before_a_pause_does_not_end_it() {
        let mut breaker = Breaker::default();
        let (paused, over) = (START + SECOND, START + 91 * SECOND);
        breaker.failed(START, paused, Some(90 * SECOND));
        for began in [START, paused] {
            breaker.answered(began, paused + SECOND);
            assert_eq!(admit(&mut breaker, paused + SECOND), wait(89));
        }
        // Nor does it decide while another one finds out.
        assert_eq!(admit(&mut breaker, over), Ok(()));
        breaker.answered(START, over);
        breaker.failed(START, over, None);
        breaker.failed_for(&token(1), START, over);
        assert_eq!(admit(&mut breaker, over), wait(1));
        breaker.answered(over, over + SECOND);
        assert_eq!(admit(&mut breaker, over + SECOND), Ok(()));
        assert!(!breaker.is_open());
    }
}
