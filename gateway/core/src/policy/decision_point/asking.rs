//! A call that the policy permits unless its decision point says no: its permit waits here for the answers.

use std::time::Duration;

use super::question::Questions;
use crate::policy::permit::Permit;
use crate::refusal::Refusal;
use crate::refusal::reason::Reason;

/// What a policy that does not refuse a call says of it.
#[derive(Debug)]
#[must_use = "a call that waits for a decision point has no permit yet"]
pub enum Permitted {
    /// It is permitted.
    Now(Permit),
    /// It is permitted if the decision point says yes to every question.
    If(Asking),
}

/// A call that waits for the answers of its decision point.
#[derive(Debug)]
pub struct Asking {
    permit: Permit,
    questions: Questions,
}

/// What holds while a decision point gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutAnswer {
    /// Calls are refused.
    Refuse,
    /// What the policy permits is permitted.
    AllowWhatPolicyAllows,
}

impl Asking {
    pub(in crate::policy) const fn new(permit: Permit, questions: Questions) -> Self {
        Self { permit, questions }
    }

    /// What is asked: at least one question.
    pub const fn questions(&self) -> &Questions {
        &self.questions
    }

    /// The permit if every answer is a yes, and there is one for each question.
    ///
    /// # Errors
    /// [`Reason::DecisionPointDenied`].
    pub fn answered(self, answers: impl IntoIterator<Item = bool>) -> Result<Permit, Refusal> {
        let mut given = 0;
        let all = answers.into_iter().inspect(|_| given += 1).all(|yes| yes);
        match all && given == self.questions.len() {
            true => Ok(self.permit),
            false => Err(Reason::DecisionPointDenied.into()),
        }
    }

    /// The permit where the decision point gave no answer, if what the policy permits is permitted then.
    ///
    /// # Errors
    /// [`Reason::DecisionPointUnavailable`] with the time after which to try again.
    pub fn unanswered(self, rule: WithoutAnswer, retry_after: Duration) -> Result<Permit, Refusal> {
        match rule {
            WithoutAnswer::AllowWhatPolicyAllows => Ok(self.permit),
            WithoutAnswer::Refuse => Err(Refusal {
                retry_after: Some(retry_after),
                ..Reason::DecisionPointUnavailable.into()
            }),
        }
    }
}
