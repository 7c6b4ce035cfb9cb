//! The two ends of every request: a [`Permit`] or a [`Refusal`].

use std::sync::Arc;

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
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            scopes: None,
        }
    }
}
