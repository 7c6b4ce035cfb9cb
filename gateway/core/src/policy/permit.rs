//! The evidence that a call was allowed.

use std::sync::Arc;

use crate::principal::Principal;

/// Evidence that the policy allowed this principal's call. Only a policy makes one and forwarding requires it, so forwarding
/// a request without a decision does not compile.
#[derive(Debug)]
#[must_use = "a permit is to be handed to forwarding"]
pub struct Permit {
    principal: Arc<Principal>,
}

impl Permit {
    pub(super) const fn new(principal: Arc<Principal>) -> Self {
        Self { principal }
    }

    /// The allowed principal.
    pub const fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }
}
