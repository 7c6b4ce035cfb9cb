//! When an endpoint that fails is asked again: not at once by every request, but after a pause that grows, by a single call.
//!
//! What a token may have caused stops the questions about this token ([`TokenPauses`]). An answer that says nothing about it is never a
//! failure of the endpoint: no number of such tokens, from any number of addresses, stops the questions about others. Where no answer came at
//! all, both may be the cause: this counts as one failure for each holder of tokens until there is a usable answer, however often the holder
//! tries. Failures open the breaker only where no usable answer came since their calls began. Instants are times since the start of a clock
//! that only goes forward.

use std::{collections::VecDeque, time::Duration};

use super::growing_pause;
use super::token_pauses::{TokenDigest, TokenPauses};

/// The failures in a row after which the endpoint is not asked for a while.
pub const FAILURES: u32 = 5;

/// The holders that are known to have counted; above that, the one that counted first is forgotten, and counts again.
const MOST_COUNTED: usize = 16;

/// How long other calls wait for the one that finds out whether the endpoint answers again.
const PROBE: Duration = Duration::from_secs(60);

/// How long after a pause the call that finds out is left to holders that have not counted: their tokens are not the cause.
const TURN_OF_OTHERS: Duration = Duration::from_secs(1);

/// How long a caller is asked to wait at least.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Whether an endpoint is asked. `H` is to whom it is counted that no answer came: the subject of a token where that is known, else the token.
#[derive(Clone, Debug)]
pub struct Breaker<H> {
    /// Failures of the endpoint since the last usable answer.
    failures: u32,
    /// Who counted since then, the first in front.
    counted: VecDeque<H>,
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

/// The token that a call is about.
#[derive(Debug)]
pub struct Asker<'a, H> {
    /// Its digest.
    pub token: &'a TokenDigest,
    /// Who has it.
    pub holder: &'a H,
}

/// What a failure can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The endpoint; with how long it wants not to be asked.
    Endpoint(Option<Duration>),
    /// The token: there is an answer that says nothing about it.
    Token,
    /// The endpoint or the token: the endpoint did not answer.
    Either,
}

/// Why a call may not be made now, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The endpoint fails, or asked for a pause.
    Endpoint(Duration),
    /// The endpoint gave no usable answer about this token.
    Token(Duration),
}

impl<H> Default for Breaker<H> {
    fn default() -> Self {
        Self {
            failures: 0,
            counted: VecDeque::new(),
            pauses: 0,
            state: State::Closed,
            paused: Duration::ZERO,
            answered: None,
            tokens: TokenPauses::default(),
        }
    }
}

impl<H: Clone + PartialEq> Breaker<H> {
    /// Whether a call about this token may be made now; or one without a token, where the gateway asks for itself.
    ///
    /// # Errors
    /// Not now: how long to wait.
    pub fn admit(&mut self, asker: Option<&Asker<'_, H>>, now: Duration) -> Result<(), NotNow> {
        let wait = asker.and_then(|asker| self.tokens.wait(asker.token, now));
        if let Some(wait) = wait {
            return Err(NotNow::Token(wait.max(LEAST_WAIT)));
        }
        let has_counted = asker.is_some_and(|asker| self.counted.contains(asker.holder));
        match self.state {
            State::Closed => Ok(()),
            State::Open(until) if now < until => {
                Err(NotNow::Endpoint((until - now).max(LEAST_WAIT)))
            }
            State::Open(until) if has_counted && now < until + TURN_OF_OTHERS => {
                Err(NotNow::Endpoint(LEAST_WAIT))
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

    /// A call that began then got no usable answer. Without a token, the endpoint alone can be the cause.
    pub fn failed(
        &mut self,
        asker: Option<&Asker<'_, H>>,
        cause: Cause,
        (began, now): (Duration, Duration),
    ) {
        let asker = match (asker, cause) {
            (_, Cause::Endpoint(pause)) => return self.endpoint_failed(pause, (began, now)),
            (None, _) => return self.endpoint_failed(None, (began, now)),
            (Some(asker), _) => asker,
        };
        self.tokens.failed(asker.token, now);
        let may_count = cause == Cause::Either && !self.is_excused(began);
        match may_count && self.counts(asker.holder) {
            true => self.endpoint_failed(None, (began, now)),
            false => self.found_nothing(began),
        }
    }

    fn endpoint_failed(&mut self, pause: Option<Duration>, (began, now): (Duration, Duration)) {
        if let Some(pause) = pause {
            return self.open(now, pause);
        }
        if self.is_excused(began) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES || self.is_open() {
            self.open(now, growing_pause::after(self.pauses));
        }
    }

    /// A failure of a call that began then says nothing about the endpoint now.
    fn is_excused(&self, began: Duration) -> bool {
        let is_answering = self.answered.is_some_and(|answered| began < answered);
        is_answering || (self.is_open() && began <= self.paused)
    }

    /// Whether this holder has not counted yet. From now on it has.
    fn counts(&mut self, holder: &H) -> bool {
        let is_new = !self.counted.contains(holder);
        if is_new {
            if self.counted.len() >= MOST_COUNTED {
                self.counted.pop_front();
            }
            self.counted.push_back(holder.clone());
        }
        is_new
    }

    /// A call did not find out whether the endpoint answers: those about other tokens do. One more failure of the endpoint opens it again.
    fn found_nothing(&mut self, began: Duration) {
        if matches!(self.state, State::Probing(_)) && began > self.paused {
            self.state = State::Closed;
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

    /// A breaker whose tokens are each of a holder of its own.
    type Tested = Breaker<TokenDigest>;

    const ENDPOINT: Cause = Cause::Endpoint(None);

    fn admit(breaker: &mut Tested, now: Duration) -> Result<(), NotNow> {
        breaker.admit(None, now)
    }

    fn admit_token(breaker: &mut Tested, number: u32, now: Duration) -> Result<(), NotNow> {
        let token = token(number);
        let (token, holder) = (&token, &token);
        breaker.admit(Some(&Asker { token, holder }), now)
    }

    fn fail_at(breaker: &mut Tested, number: u32, cause: Cause, times: (Duration, Duration)) {
        let token = token(number);
        let (token, holder) = (&token, &token);
        breaker.failed(Some(&Asker { token, holder }), cause, times);
    }

    fn wait(seconds: u32) -> Result<(), NotNow> {
        Err(NotNow::Endpoint(seconds * SECOND))
    }

    /// A breaker that was opened then, by calls that failed at once.
    fn opened(now: Duration) -> Tested {
        let mut breaker = Tested::default();
        for _ in 0..FAILURES {
            assert_eq!(admit(&mut breaker, now), Ok(()));
            breaker.failed(None, ENDPOINT, (now, now));
        }
        breaker
    }

    /// An endpoint of the test: what it does with the call about this token, which began then.
    type Endpoint = fn(&mut Tested, u32, Duration);

    const GONE: Endpoint =
        |breaker, number, now| fail_at(breaker, number, ENDPOINT, (now, now + MILLISECOND));
    const SILENT: Endpoint =
        |breaker, number, now| fail_at(breaker, number, Cause::Either, (now, now + MILLISECOND));
    const WELL: Endpoint = |breaker, _, now| breaker.answered(now, now + MILLISECOND);
    const BROKEN: Endpoint =
        |breaker, number, now| fail_at(breaker, number, Cause::Token, (now, now + MILLISECOND));

    /// How many questions an endpoint gets in ten minutes, if so many callers have a token each and try it every second.
    fn questions(endpoint: Endpoint, tokens: u32) -> u32 {
        let (mut breaker, mut asked) = (Tested::default(), 0);
        for second in 0..600 {
            for number in 0..tokens {
                let now = START + second * SECOND + number * MILLISECOND;
                if admit_token(&mut breaker, number, now).is_ok() {
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
        for endpoint in [GONE, SILENT] {
            let asked = questions(endpoint, 100);
            assert!((FAILURES..=FAILURES + 25).contains(&asked), "{asked}");
        }
        // Even where few tokens are known, all of which have counted.
        for tokens in 1..20 {
            let asked = questions(SILENT, tokens);
            assert!((1..=tokens * 26).contains(&asked), "{tokens}: {asked}");
        }
    }

    #[test]
    fn one_holder_of_tokens_at_which_no_answer_comes_stops_nobody_else() {
        // The endpoint is well, or was down a moment ago.
        for opened_before in [false, true] {
            let mut breaker = match opened_before {
                true => opened(START),
                false => Tested::default(),
            };
            let (holder, mut number) = (token(7), 1_000);
            for second in 1..600 {
                let began = START + second * SECOND;
                // It tries its tokens all the time; each is new.
                for late in 0..20 {
                    let (began, own) = (began + late * MILLISECOND, token(number));
                    let (token, holder) = (&own, &holder);
                    let asker = Asker { token, holder };
                    if breaker.admit(Some(&asker), began).is_ok() {
                        breaker.failed(Some(&asker), Cause::Either, (began, began + MILLISECOND));
                    }
                    number += 1;
                }
                let now = began + 30 * MILLISECOND;
                if second % 7 == 3 {
                    assert_eq!(admit_token(&mut breaker, number, now), Ok(()), "{second}");
                    WELL(&mut breaker, number, now);
                    number += 1;
                }
            }
        }
    }

    #[test]
    fn no_answer_about_tokens_of_several_holders_is_a_failure_of_the_endpoint() {
        let mut breaker = Tested::default();
        for number in 1..FAILURES {
            SILENT(&mut breaker, number, START);
            SILENT(&mut breaker, number, START);
            assert!(!breaker.is_open());
            assert!(admit_token(&mut breaker, number, START + MILLISECOND).is_err());
        }
        SILENT(&mut breaker, FAILURES, START);
        assert!(breaker.is_open());
        assert_eq!(breaker.counted.len(), FAILURES as usize);
        breaker.answered(START + 2 * SECOND, START + 3 * SECOND);
        assert!(breaker.counted.is_empty() && !breaker.is_open());
    }

    #[test]
    fn who_counted_leaves_the_first_call_after_a_pause_to_others() {
        let open = || {
            let mut breaker = Tested::default();
            (1..=FAILURES).for_each(|number| SILENT(&mut breaker, number, START));
            breaker
        };
        let (over, later) = (START + 2 * SECOND, START + 4 * SECOND);
        let mut breaker = open();
        assert_eq!(
            admit_token(&mut breaker, 1, START + SECOND + 9 * MILLISECOND),
            wait(1)
        );
        assert_eq!(
            admit_token(&mut breaker, 9, START + SECOND + 9 * MILLISECOND),
            Ok(())
        );
        // Nobody else comes: it finds out, or leaves it to all others.
        let mut breaker = open();
        assert_eq!(admit_token(&mut breaker, 1, over + 9 * MILLISECOND), Ok(()));
        assert_eq!(
            admit_token(&mut breaker, 9, over + 10 * MILLISECOND),
            wait(1)
        );
        fail_at(
            &mut breaker,
            1,
            Cause::Either,
            (over + 9 * MILLISECOND, later),
        );
        assert!(!breaker.is_open());
        assert_eq!(admit_token(&mut breaker, 9, later), Ok(()));
        // One failure of somebody who has not counted opens it again.
        fail_at(&mut breaker, 9, Cause::Either, (later, later));
        assert_eq!(admit_token(&mut breaker, 10, later), wait(2));
    }

    #[test]
    fn the_number_of_holders_that_are_known_is_bounded() {
        let mut breaker = Tested::default();
        for number in 0..1_000 {
            SILENT(&mut breaker, number, START + number * 60 * SECOND);
            assert!(breaker.counted.len() <= MOST_COUNTED);
        }
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
                    if admit_token(&mut breaker, stranger, began).is_ok() {
                        BROKEN(&mut breaker, stranger, began);
                    }
                }
                number += 10 * attackers;
                // Good tokens are rarely asked about, each for the first time.
                if second % 7 == 3 {
                    assert_eq!(admit_token(&mut breaker, number, now), Ok(()), "{second}");
                    WELL(&mut breaker, number, now);
                    number += 1;
                }
            }
        }
    }

    #[test]
    fn tokens_that_take_long_open_nothing_while_others_are_answered() {
        let mut breaker = Tested::default();
        for round in 0..9 {
            let began = START + round * 10 * SECOND;
            breaker.answered(began + SECOND, began + 2 * SECOND);
            for _ in 0..9 * FAILURES {
                breaker.failed(None, ENDPOINT, (began, began + 10 * SECOND));
            }
            assert!(!breaker.is_open());
        }
        // Nobody is answered any more.
        for _ in 0..FAILURES {
            breaker.failed(None, ENDPOINT, (START + 90 * SECOND, START + 100 * SECOND));
        }
        assert!(breaker.is_open());
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Tested::default();
        for round in 0..3 {
            let now = START + round * SECOND;
            for _ in 1..FAILURES {
                breaker.failed(None, ENDPOINT, (now, now));
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
            breaker.failed(None, ENDPOINT, (now, now));
            assert_eq!(admit(&mut breaker, now), wait(expected));
        }
    }

    #[test]
    fn a_call_that_finds_out_nothing_lets_others_find_out() {
        let mut breaker = opened(START);
        let later = START + SECOND;
        assert_eq!(admit_token(&mut breaker, 1, later), Ok(()));
        fail_at(&mut breaker, 1, Cause::Token, (later, later));
        assert_eq!(
            admit_token(&mut breaker, 1, later),
            Err(NotNow::Token(SECOND)),
            "its own token waits"
        );
        assert_eq!(admit_token(&mut breaker, 2, later), Ok(()));
        // The endpoint is still down.
        breaker.failed(None, ENDPOINT, (later, later));
        assert_eq!(admit_token(&mut breaker, 3, later), wait(2));
    }

    #[test]
    fn a_usable_answer_ends_the_pauses_of_all_tokens() {
        let mut breaker = Tested::default();
        for number in 0..9 {
            fail_at(&mut breaker, number, Cause::Token, (START, START));
            assert!(admit_token(&mut breaker, number, START).is_err());
        }
        breaker.answered(START, START);
        for number in 0..9 {
            assert_eq!(admit_token(&mut breaker, number, START), Ok(()));
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
        let mut breaker = Tested::default();
        let second = START + SECOND;
        breaker.failed(None, Cause::Endpoint(Some(90 * SECOND)), (START, START));
        assert_eq!(admit(&mut breaker, second), wait(89));
        // A call that began before the pause does not shorten it.
        breaker.failed(None, ENDPOINT, (START, START));
        assert_eq!(admit(&mut breaker, second), wait(89));
        breaker.failed(None, Cause::Endpoint(Some(SECOND)), (START, second));
        assert_eq!(admit(&mut breaker, START + 3 * SECOND), wait(87));
        breaker.failed(None, Cause::Endpoint(Some(99 * SECOND)), (START, second));
        assert_eq!(admit(&mut breaker, START + 90 * SECOND), wait(10));
        assert_eq!(admit(&mut breaker, START + 100 * SECOND), Ok(()));
    }

    #[test]
    fn a_call_that_began_before_a_pause_does_not_end_it() {
        let mut breaker = Tested::default();
        let (paused, over) = (START + SECOND, START + 91 * SECOND);
        breaker.failed(None, Cause::Endpoint(Some(90 * SECOND)), (START, paused));
        for began in [START, paused] {
            breaker.answered(began, paused + SECOND);
            assert_eq!(admit(&mut breaker, paused + SECOND), wait(89));
        }
        // Nor does it decide while another one finds out.
        assert_eq!(admit(&mut breaker, over), Ok(()));
        breaker.answered(START, over);
        breaker.failed(None, ENDPOINT, (START, over));
        fail_at(&mut breaker, 1, Cause::Token, (START, over));
        assert_eq!(admit(&mut breaker, over), wait(1));
        breaker.answered(over, over + SECOND);
        assert_eq!(admit(&mut breaker, over + SECOND), Ok(()));
        assert!(!breaker.is_open());
    }
}
