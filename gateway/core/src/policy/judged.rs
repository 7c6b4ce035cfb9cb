//! The outcome of a call: permitted or refused, by what, and what an operator should know of it.

use std::fmt;
use std::sync::Arc;

use super::caller::RuleTarget;
use super::decision_point::asking::Permitted;
use super::decision_point::question::QuestionFault;
use super::rule::arguments::ArgumentFault;
use super::uri::{Reading, UriFault};
use crate::cel::ConditionFault;
use crate::refusal::Refusal;
use crate::refusal::reason::Reason;

/// What decided a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionSource {
    /// Only the required scopes: no rule applies to this kind of call.
    Required,
    /// No rule matched it.
    Default,
    /// The rule at this position.
    Rule(usize),
}

impl fmt::Display for DecisionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Default => f.write_str("default"),
            Self::Rule(at) => write!(f, "rules[{at}]"),
        }
    }
}

/// The outcome of a call: the decision, what made it, and the condition that failed.
#[derive(Debug)]
pub struct Judged {
    /// What decided; of several things that a call touches, the one that was refused, else the last.
    pub by: DecisionSource,
    /// Why a condition could not be evaluated, where the call is refused for that.
    pub fault: Option<ConditionFault>,
    /// What is wrong with a URI, where the call is refused for that.
    pub uri_fault: Option<UriFault>,
    /// The reading of a name that is refused, where the name as it was sent is not.
    pub read_as: Option<Box<str>>,
    /// Why the arguments could not be judged, where the call is refused for that.
    pub unreadable: Option<ArgumentFault>,
    /// The part of a rule that allows which the call does not meet, where it is refused for that.
    pub unmet: Option<Unmet>,
    /// Why its decision point cannot be asked, where the call is refused for that.
    pub question: Option<QuestionFault>,
    /// The permit, perhaps one that waits for a decision point, or why the call is refused.
    pub decision: Result<Permitted, Refusal>,
}

/// The part of a rule that a call does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// The arguments.
    Arguments,
    /// The subject.
    Principal,
    /// The client.
    Client,
    /// The condition.
    Condition,
}

/// A call that is refused regardless of its scopes.
pub(super) struct Denied {
    pub(super) by: DecisionSource,
    pub(super) reason: Reason,
    pub(super) text: Option<Arc<str>>,
    pub(super) fault: Option<ConditionFault>,
    pub(super) uri_fault: Option<UriFault>,
    pub(super) read_as: Option<Box<str>>,
    pub(super) unreadable: Option<ArgumentFault>,
    pub(super) unmet: Option<Unmet>,
}

impl Denied {
    pub(super) const fn new(by: DecisionSource, reason: Reason) -> Self {
        Self {
            by,
            reason,
            text: None,
            fault: None,
            uri_fault: None,
            read_as: None,
            unreadable: None,
            unmet: None,
        }
    }

    /// The same, with the reading that is denied.
    pub(super) fn of(self, target: &RuleTarget<'_>) -> Self {
        let read_as = target.name.filter(|_| target.reading != Reading::Sent);
        Self {
            read_as: read_as.map(Into::into),
            ..self
        }
    }

    pub(super) fn refusal(self) -> Refusal {
        Refusal {
            text: self.text,
            ..self.reason.into()
        }
    }
}

impl From<UriFault> for Denied {
    fn from(fault: UriFault) -> Self {
        Self {
            uri_fault: Some(fault),
            ..Self::new(DecisionSource::Default, Reason::AmbiguousUri)
        }
    }
}

impl From<Denied> for Judged {
    fn from(mut denied: Denied) -> Self {
        Self {
            by: denied.by,
            fault: denied.fault,
            uri_fault: denied.uri_fault,
            read_as: denied.read_as.take(),
            unreadable: denied.unreadable.clone(),
            unmet: denied.unmet,
            question: None,
            decision: Err(denied.refusal()),
        }
    }
}

impl Judged {
    /// A decision without a fault.
    pub(super) const fn new(by: DecisionSource, decision: Result<Permitted, Refusal>) -> Self {
        Self {
            by,
            fault: None,
            uri_fault: None,
            read_as: None,
            unreadable: None,
            unmet: None,
            question: None,
            decision,
        }
    }
}
