//! Whether the decision point of a resource still says yes to an open listening stream.
//!
//! It is asked again when its last yes would not hold any more in its cache, at least every minute, by a task: a stream that never
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

/// The answer to a question about a stream.
type Answer = Result<bool, Failure>;

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
    /// Of a stream whose request was permitted just now, with a yes of this decision point if there is one.
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
        standing.said_yes(point);
        standing
    }

    /// Forgets what was said: the resource is configured differently now.
    pub(super) fn start_anew(&mut self, point: Option<&Arc<DecisionPoint>>) {
        self.said_yes(point);
        self.due = point.map(|_| Instant::now());
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
            Some(due) => sleep_until(due).await,
            None => pending().await,
        }
    }

    fn take_up(&mut self, point: &Arc<DecisionPoint>, answer: Answer) -> Result<(), Reason> {
        let allows = point.settings().without_answer == WithoutAnswer::AllowWhatPolicyAllows;
        match answer {
            Ok(true) => self.said_yes(Some(point)),
            Ok(false) => return Err(Reason::DecisionPointDenied),
            Err(Failure::NoAnswer(_)) if allows => self.said_yes(Some(point)),
            Err(_) if Instant::now() >= self.holds_until => {
                return Err(Reason::DecisionPointUnavailable);
            }
            Err(_) => self.try_again(),
        }
        Ok(())
    }

    fn said_yes(&mut self, point: Option<&Arc<DecisionPoint>>) {
        let now = Instant::now();
        let interval = point.map(|point| point.settings().cache.clamp(LEAST, MOST));
        self.due = interval.map(|interval| now + interval);
        self.holds_until = now + 2 * interval.unwrap_or_default();
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
            let mut known = point.known(questions);
            let asked = match known.together() {
                Some(_) => Ok(()),
                None => point.complete(questions, &mut known, &subject).await,
            };
            // The stream may have ended.
            let _ = sender.send(asked.map(|()| known.together() == Some(true)));
        });
        self.asked = Some(receiver);
    }
}
