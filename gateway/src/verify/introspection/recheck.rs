//! Asks again about the token of an open stream, or of a call that takes long: at each `recheck`, until its issuer says no. While the
//! issuer does not answer, the stream goes on for `stale`; while there is no room for the question, it is asked a moment later. A token that
//! has expired is not asked about: how long its call may go on is decided elsewhere.
//!
//! Nothing runs meanwhile: the stream calls [`Recheck::ready`] to wait, or [`Recheck::check`] where it does not wait.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use mcp_gateway_core::{
    refusal::reason::Reason,
    token::evidence::{Evidence, binding::Binding},
};
use tokio::time::sleep_until;

use super::{
    flights::Flight,
    introspector::{Asked, Introspector},
};
use crate::{
    issuer_keys::fetch_pause::with_jitter,
    verify::{
        cache::VerdictCache,
        question::Question,
        verdict::{Freshness, Verdict},
    },
};

/// How soon a question is tried again for which there was no room.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// The share of that pause that passes at least.
const LEAST_OF_BUSY_PAUSE: f64 = 0.5;

/// The share of `recheck` that passes at least, so that streams that were opened together are not asked about together.
const LEAST_OF_INTERVAL: f64 = 0.9;

/// The questions about one token, again and again.
pub(crate) struct Recheck {
    introspector: Arc<Introspector>,
    verdicts: Arc<VerdictCache>,
    asked: Asked,
    /// What the sender proved to have when its request began.
    proved: Option<Binding>,
    times: Times,
    flight: Option<Flight>,
}

/// When questions about a token are asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When the next question is due.
    due: Instant,
    /// When the issuer last answered.
    answered: Instant,
    /// When the token expires by what the issuer said, without clock skew: from then on its issuer may say no for that alone.
    expires: Option<Instant>,
}

impl Times {
    /// Those of a stream that is opened now: the next question when the verdict would have to be renewed anyway, or after the interval.
    pub(in crate::verify) fn at_opening(
        now: Instant,
        verdict: &Verdict,
        interval: Duration,
    ) -> Self {
        let due = now + with_jitter(interval, LEAST_OF_INTERVAL);
        let due = match verdict.freshness {
            // Else it was given now.
            Freshness::Asked { until } if until > now => due.min(until),
            _ => due,
        };
        Self {
            due,
            answered: now,
            expires: expires(verdict),
        }
    }

    /// Those of an open stream whose token is judged anew, by an issuer that last answered then.
    pub(in crate::verify) fn at_once(now: Instant, answered: Option<Instant>) -> Self {
        Self {
            due: now,
            answered: answered.unwrap_or(now),
            expires: None,
        }
    }

    /// Whether the token has expired when the next question is due.
    fn are_over(&self, now: Instant) -> bool {
        self.expires
            .is_some_and(|expires| now.max(self.due) >= expires)
    }

    /// The issuer answered.
    fn answered(&mut self, now: Instant, verdict: &Verdict, interval: Duration) {
        self.answered = now;
        self.expires = expires(verdict);
        self.due = now + with_jitter(interval, LEAST_OF_INTERVAL);
    }

    /// There was no room for the question. That is not the issuer's silence.
    fn were_busy(&mut self, now: Instant) {
        let pause = with_jitter(BUSY_PAUSE, LEAST_OF_BUSY_PAUSE);
        self.answered += pause;
        self.due = now + pause;
    }

    /// The issuer did not answer; whether that is so for longer than `stale`.
    fn are_stale(&mut self, now: Instant, interval: Duration, stale: Duration) -> bool {
        self.due = now + with_jitter(interval, LEAST_OF_INTERVAL);
        now.saturating_duration_since(self.answered) > stale
    }
}

/// When the token of a verdict expires, without clock skew.
fn expires(verdict: &Verdict) -> Option<Instant> {
    verdict.deadline?.checked_sub(verdict.clock_skew)
}

impl Recheck {
    /// For a token whose sender `proved` to have what it is bound to.
    pub(in crate::verify) fn new(
        introspector: &Arc<Introspector>,
        verdicts: &Arc<VerdictCache>,
        question: (&Question<'_>, Option<Binding>),
        proved: Option<Binding>,
        times: Times,
    ) -> Self {
        Self {
            introspector: introspector.clone(),
            verdicts: verdicts.clone(),
            asked: Asked::of(question),
            proved,
            times,
            flight: None,
        }
    }

    /// When the issuer last answered.
    pub(crate) const fn answered(&self) -> Instant {
        self.times.answered
    }

    /// Waits until [`Recheck::check`] has something to do.
    pub(crate) async fn ready(&mut self) {
        match &mut self.flight {
            Some(flight) => drop(flight.wait_for(Option::is_some).await),
            None if self.times.are_over(Instant::now()) => pending().await,
            None => sleep_until(self.times.due.into()).await,
        }
    }

    /// What was found about the token since the last call, without waiting.
    ///
    /// # Errors
    /// Why it is refused now: its issuer says no, or it is bound to something else now, which its sender did not prove to have.
    pub(crate) fn check(&mut self) -> Result<Option<Evidence>, Reason> {
        let now = Instant::now();
        if self.times.are_over(now) {
            // What the issuer says now is about a token that has expired.
            self.flight = None;
            return Ok(None);
        }
        if self.flight.is_none() && now >= self.times.due {
            let (digest, asked) = (self.asked.digest, &self.asked);
            let begun = (self.introspector).begin(|| asked.clone(), &digest, &self.verdicts);
            match begun {
                Ok(flight) => self.flight = Some(flight),
                Err(refusal) => return self.unanswered(refusal.reason, now),
            }
        }
        let Some(flight) = &self.flight else {
            return Ok(None);
        };
        let outcome = flight.borrow().clone();
        let is_broken = flight.has_changed().is_err() && outcome.is_none();
        match outcome {
            Some(Ok(verdict)) => {
                self.flight = None;
                let interval = self.introspector.recheck_interval();
                self.times.answered(now, &verdict, interval);
                Binding::unchanged(self.proved.as_ref(), verdict.evidence.binding.as_ref())?;
                Ok(Some(verdict.evidence))
            }
            Some(Err(refusal)) if refusal.reason.status() == 401 => Err(refusal.reason),
            Some(Err(refusal)) => self.unanswered(refusal.reason, now),
            None if is_broken => self.unanswered(Reason::IntrospectionUnavailable, now),
            None => Ok(None),
        }
    }

    /// The stream goes on, but not for ever.
    fn unanswered(&mut self, reason: Reason, now: Instant) -> Result<Option<Evidence>, Reason> {
        self.flight = None;
        if reason == Reason::IntrospectionBusy {
            self.times.were_busy(now);
            return Ok(None);
        }
        let interval = self.introspector.recheck_interval();
        let stale = self.introspector.endpoint.introspection().settings.stale;
        match self.times.are_stale(now, interval, stale) {
            true => Err(reason),
            false => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::verdict::testing;

    const SECOND: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_secs(60);

    /// A verdict that holds until then, on a token that expires then, with a clock skew of five seconds.
    fn verdict(until: Instant, expires: Instant) -> Verdict {
        let clock_skew = 5 * SECOND;
        Verdict {
            clock_skew,
            ..testing::verdict(Freshness::Asked { until }, Some(expires + clock_skew))
        }
    }

    fn opened(now: Instant, verdict: &Verdict) -> Times {
        Times::at_opening(now, verdict, INTERVAL)
    }

    #[test]
    fn the_first_question_is_due_when_the_verdict_is_to_be_renewed_or_after_the_interval() {
        let now = Instant::now();
        let ends = now + 900 * SECOND;
        assert_eq!(opened(now, &verdict(now + SECOND, ends)).due, now + SECOND);
        for until in [now, now + 90 * SECOND] {
            let due = opened(now, &verdict(until, ends)).due;
            assert!((now + 54 * SECOND..=now + INTERVAL).contains(&due));
        }
        let dues: Vec<_> = (0..50)
            .map(|_| opened(now, &verdict(now, ends)).due)
            .collect();
        assert!(dues.iter().any(|due| *due != dues[0]));
    }

    #[test]
    fn a_question_without_room_is_tried_soon_and_is_not_the_issuers_silence() {
        let now = Instant::now();
        let mut times = opened(now, &verdict(now, now + 9000 * SECOND));
        let mut later = now + INTERVAL;
        for _ in 0..1000 {
            times.were_busy(later);
            assert!(times.due <= later + SECOND && times.due > later);
            later = times.due;
        }
        assert!(!times.are_stale(later, INTERVAL, INTERVAL));
        assert!(times.are_stale(later + 2 * SECOND, INTERVAL, INTERVAL));
    }

    #[test]
    fn a_stream_that_is_judged_anew_is_as_old_as_its_last_answer() {
        let now = Instant::now();
        let mut times = Times::at_once(now + 9 * SECOND, Some(now));
        assert_eq!(times.due, now + 9 * SECOND);
        assert!(times.are_stale(now + 9 * SECOND, INTERVAL, 8 * SECOND));
        let mut first = Times::at_once(now, None);
        assert!(!first.are_stale(now, INTERVAL, Duration::ZERO));
    }

    #[test]
    fn a_token_that_has_expired_is_not_asked_about() {
        let now = Instant::now();
        let mut times = opened(now, &verdict(now + SECOND, now + 30 * SECOND));
        assert!(!times.are_over(now));
        // The next question would be later than that.
        times.answered(now + SECOND, &verdict(now, now + 30 * SECOND), INTERVAL);
        assert!(times.are_over(now + SECOND));
        // The issuer may prolong it.
        times.answered(now + SECOND, &verdict(now, now + 300 * SECOND), INTERVAL);
        assert!(!times.are_over(now + SECOND));
        assert!(times.are_over(now + 300 * SECOND));
    }
}
