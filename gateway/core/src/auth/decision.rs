//! The two ends of every request: a [`Permit`] or a [`Refusal`].

use std::{sync::Arc, time::Duration};

use super::principal::Principal;
use super::reason::Reason;
use super::scope::ScopeSet;

/// Evidence that the policy allowed this principal's call. Only a policy makes one and forwarding demands it, so a
/// request that nobody judged does not compile.
#[derive(Debug)]
#[must_use = "a permit is to be handed to forwarding"]
pub struct Permit {
    principal: Arc<Principal>,
}

impl Permit {
    pub(super) const fn new(principal: Arc<Principal>) -> Self {
        Self { principal }
    }

    /// Who was allowed.
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }
}

/// A request that goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why; it alone fixes the answer.
    pub reason: Reason,
    /// Every scope the call takes, where it was refused for want of one.
    pub scopes: Option<ScopeSet>,
    /// How long the client is asked to wait, where more is known than that it should.
    pub retry_after: Option<Duration>,
    /// What the client is told in place of the reason's own sentence: the words of the rule that denied.
    pub text: Option<Arc<str>>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            scopes: None,
            retry_after: None,
            text: None,
        }
    }
}
