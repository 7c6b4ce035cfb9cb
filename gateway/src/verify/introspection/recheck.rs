//! Asks again about the token of an open stream, or of a call that takes long: at each `recheck`, until its issuer says no. While the
//! issuer does not answer, the stream goes on for `stale`.
//!
//! Nothing runs meanwhile: the stream calls [`Recheck::ready`] to wait, or [`Recheck::check`] where it does not wait.

use std::{
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
use crate::verify::{cache::VerdictCache, question::Question};

/// The questions about one token, again and again.
pub(crate) struct Recheck {
    introspector: Arc<Introspector>,
    verdicts: Arc<VerdictCache>,
    asked: Asked,
    /// What the sender proved to have when its request began.
    proved: Option<Binding>,
    /// When the next question is due.
    due: Instant,
    /// When the issuer last answered.
    answered: Instant,
    flight: Option<Flight>,
}

impl Recheck {
    /// For a token whose sender `proved` to have what it is bound to. Asks at once if the question `is_due`, else after the interval.
    pub(in crate::verify) fn new(
        introspector: &Arc<Introspector>,
        verdicts: &Arc<VerdictCache>,
        (question, stated): (&Question<'_>, Option<Binding>),
        proved: Option<Binding>,
        is_due: bool,
    ) -> Self {
        let interval = match is_due {
            true => Duration::ZERO,
            false => introspector.recheck_interval(),
        };
        Self {
            introspector: introspector.clone(),
            verdicts: verdicts.clone(),
            asked: Asked::of((question, stated)),
            proved,
            due: question.started + interval,
            answered: question.started,
            flight: None,
        }
    }

    /// Waits until [`Recheck::check`] has something to do.
    pub(crate) async fn ready(&mut self) {
        match &mut self.flight {
            Some(flight) => drop(flight.wait_for(Option::is_some).await),
            None => sleep_until(self.due.into()).await,
        }
    }

    /// What was found about the token since the last call, without waiting.
    ///
    /// # Errors
    /// Why it is refused now: its issuer says no, or it is bound to something else now, which its sender did not prove to have.
    pub(crate) fn check(&mut self) -> Result<Option<Evidence>, Reason> {
        let now = Instant::now();
        if self.flight.is_none() && now >= self.due {
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
                self.next(now);
                self.answered = now;
                Binding::unchanged(self.proved.as_ref(), verdict.evidence.binding.as_ref())?;
                Ok(Some(verdict.evidence))
            }
            Some(Err(refusal)) if refusal.reason.status() == 401 => Err(refusal.reason),
            Some(Err(refusal)) => self.unanswered(refusal.reason, now),
            None if is_broken => self.unanswered(Reason::IntrospectionUnavailable, now),
            None => Ok(None),
        }
    }

    fn next(&mut self, now: Instant) {
        self.flight = None;
        self.due = now + self.introspector.recheck_interval();
    }

    /// The stream goes on, but not for ever.
    fn unanswered(&mut self, reason: Reason, now: Instant) -> Result<Option<Evidence>, Reason> {
        self.next(now);
        let stale = self.introspector.endpoint.introspection().settings.stale;
        match now.saturating_duration_since(self.answered) > stale {
            true => Err(reason),
            false => Ok(None),
        }
    }
}
