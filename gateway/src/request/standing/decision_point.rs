//! Whether the decision point of a resource still says yes to an open listening stream.
//!
//! It is asked again when its last yes, which may have come from the cache, would not hold any more there, at least every minute, by a task: a stream that never
//! pauses does not wait for it. A no ends the stream. Without an answer it is asked again soon, and the last yes holds twice as long;
//! then the stream ends, unless calls are allowed without an answer.

use std::{future::pending, sync::Arc, time::Duration};

use mcp_gateway_core::{
    policy::decision_point::asking::{Asking, WithoutAnswer},
    refusal::reason::Reason,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use crate::{
    decision::{
        failure::Failure,
        point::{DecisionPoint, RETRY_AFTER},
    },
    limits::accounts::SubjectAccount,
};

/// The least and the most time between two questions about one stream.
const LEAST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(60);

/// The answer to a question about a stream: yes or no, and when it was asked for.
type Answer = Result<(bool, Instant), Failure>;

/// Why the decision point ends a stream.
pub(super) struct PointReason(pub(super) Reason);

/// What the decision point has said of one stream.
pub(super) struct PointStanding {
    subject: Option<Arc<SubjectAccount>>,
    /// When it is asked again; never where nothing is asked.
    due: Option<Instant>,
    /// How long the last yes holds without another one.
    holds_until: Instant,
    asked: Option<oneshot::Receiver<Answer>>,
    answer: Option<Answer>,
}

impl PointStanding {
    /// Of a stream whose request was permitted just now, with a yes of this decision point if there is one. Where the yes may be from the
    /// cache, how old it is says the cache, at once.
    pub(super) fn new(
        subject: Option<Arc<SubjectAccount>>,
        point: Option<&Arc<DecisionPoint>>,
    ) -> Self {
        let mut standing = Self {
            subject,
            due: None,
            holds_until: Instant::now(),
            asked: None,
            answer: None,
        };
        let now = Instant::now();
        standing.said_yes(point, now);
        if point.is_some_and(|point| !point.settings().cache.is_zero()) {
            standing.due = Some(now);
        }
        standing
    }

    /// Forgets what was said: the resource is configured differently now.
    pub(super) fn start_anew(&mut self, point: Option<&Arc<DecisionPoint>>) {
        let now = Instant::now();
        self.said_yes(point, now);
        self.due = point.map(|_| now);
        (self.asked, self.answer) = (None, None);
    }

    /// Takes up an answer, and asks when it is time. `ask` says what is asked, if anything is.
    ///
    /// # Errors
    /// Why the stream ends.
    pub(super) fn judge<L: From<PointReason>>(
        &mut self,
        point: Option<&Arc<DecisionPoint>>,
        ask: impl FnOnce() -> Result<Option<Asking>, L>,
    ) -> Result<(), L> {
        let Some(point) = point else {
            return Ok(());
        };
        if let Some(asked) = &mut self.asked {
            match asked.try_recv() {
                Ok(answer) => self.answer = Some(answer),
                Err(oneshot::error::TryRecvError::Closed) => self.try_again(),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
        }
        if let Some(answer) = self.answer.take() {
            self.asked = None;
            self.take_up(point, answer).map_err(PointReason)?;
        }
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if is_due && self.asked.is_none() {
            match ask()? {
                Some(asking) => self.ask(point, asking),
                None => self.due = None,
            }
        }
        Ok(())
    }

    /// Waits until there is something to judge.
    pub(super) async fn changed(&mut self) {
        if let Some(asked) = &mut self.asked {
            match asked.await {
                Ok(answer) => self.answer = Some(answer),
                Err(_) => self.try_again(),
            }
            return;
        }
        match self.due {
            // Boxed: streams without a decision point are not to carry this.
            Some(due) => Box::pin(sleep_until(due)).await,
            None => pending().await,
        }
    }

    fn take_up(&mut self, point: &Arc<DecisionPoint>, answer: Answer) -> Result<(), Reason> {
        let allows = point.settings().without_answer == WithoutAnswer::AllowWhatPolicyAllows;
        match answer {
            Ok((true, sent)) => self.said_yes(Some(point), sent),
            Ok((false, _)) => return Err(Reason::DecisionPointDenied),
            Err(Failure::NoAnswer(_)) if allows => self.said_yes(Some(point), Instant::now()),
            Err(_) if Instant::now() >= self.holds_until => {
                return Err(Reason::DecisionPointUnavailable);
            }
            Err(_) => self.try_again(),
        }
        Ok(())
    }

    /// A yes that was asked for at this time.
    fn said_yes(&mut self, point: Option<&Arc<DecisionPoint>>, sent: Instant) {
        let interval = point.map(|point| interval(point.settings().cache));
        self.due = interval.map(|interval| next(sent, Instant::now(), interval));
        self.holds_until = self.due.unwrap_or(sent) + interval.unwrap_or_default();
    }

    fn try_again(&mut self) {
        self.asked = None;
        self.due = Some(Instant::now() + RETRY_AFTER);
    }

    fn ask(&mut self, point: &Arc<DecisionPoint>, asking: Asking) {
        let Some(subject) = self.subject.clone() else {
            return self.try_again();
        };
        let (sender, receiver) = oneshot::channel();
        let point = point.clone();
        tokio::spawn(async move {
            let questions = asking.questions();
            let interval = interval(point.settings().cache);
            let mut known = point.known_within(questions, interval);
            let asked = match known.together() {
                Some(_) => Ok(()),
                None => point.complete(questions, &mut known, &subject).await,
            };
            // The stream may have ended.
            let sent = known.oldest().map_or_else(Instant::now, Instant::from_std);
            let _ = sender.send(asked.map(|()| (known.together() == Some(true), sent)));
        });
        self.asked = Some(receiver);
    }
}

/// How old a yes gets before the decision point is asked again.
fn interval(cache: Duration) -> Duration {
    cache.clamp(LEAST, MOST)
}

/// When it is asked again, after a yes that was asked for at this time.
fn next(sent: Instant, now: Instant, interval: Duration) -> Instant {
    match sent + interval {
        due if due > now => due,
        // The answer took longer.
        _ => now + LEAST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_question_is_due_by_the_age_of_the_yes() {
        let sent = Instant::now();
        let seconds = Duration::from_secs;
        for (cache, taken, expected) in [
            (seconds(10), 0, 10),
            (seconds(10), 9, 10),
            (seconds(3600), 59, 60),
            (seconds(0), 0, 1),
            (seconds(0), 5, 6),
            (seconds(10), 10, 11),
        ] {
            let due = next(sent, sent + seconds(taken), interval(cache));
            assert_eq!(due, sent + seconds(expected), "{cache:?} {taken}");
        }
    }
}
