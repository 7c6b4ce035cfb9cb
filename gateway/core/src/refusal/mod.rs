//! Refusals: why a request is refused, and the answer to the client.
//!
//! * [`reason`] is the one table of refusals: a row fixes status, challenge, JSON-RPC code, metric label, sentence and log level.
//! * [`fault`] is a reason with what was found, for the operator.
//! * [`causes`] has the words for operators: when, why, what the log shows, how to fix it. `docs/why.md` is made from it.
//! * [`challenge`] writes `WWW-Authenticate` from a refusal. [`found`] shows values of a request in the log.
//!
//! **A new refusal is a new row in [`reason`] and in [`causes`]**, and the check that returns it.

pub mod causes;
pub mod challenge;
pub mod fault;
pub mod found;
pub mod reason;

use std::{borrow::Cow, sync::Arc, time::Duration};

use crate::scope::ScopeSet;
use reason::Reason;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why. It alone determines the answer.
    pub reason: Reason,
    /// Every scope that the call requires, where it was refused because one is missing.
    pub scopes: Option<ScopeSet>,
    /// How long the client should wait (`Retry-After`), where that is known.
    pub retry_after: Option<Duration>,
    /// The text for the client instead of the reason's sentence: the message of the rule that denied.
    pub text: Option<Arc<str>>,
    /// What was found and what was expected, for the operator.
    pub detail: Option<Cow<'static, str>>,
    /// Whether an issuer was asked in vain about a token that it never accepted: an invented one looks the same as a good one while the issuer
    /// does not answer, and each costs a call.
    pub was_asked_in_vain: bool,
}

impl Refusal {
    /// Whether it counts against the client's address: for its reason, or because a stranger's token cost a call.
    pub const fn counts_against_address(&self) -> bool {
        self.reason.counts_against_address() || self.was_asked_in_vain
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            scopes: None,
            retry_after: None,
            text: None,
            detail: None,
            was_asked_in_vain: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_in_vain_counts_against_the_address_and_an_outage_alone_does_not() {
        let outage: Refusal = Reason::IntrospectionUnavailable.into();
        assert!(!outage.counts_against_address());
        let in_vain = Refusal {
            was_asked_in_vain: true,
            ..outage
        };
        assert!(in_vain.counts_against_address());
        assert!(Refusal::from(Reason::TokenInactive).counts_against_address());
    }
}
