//! Refusals: why a request goes no further, and what the client is answered.
//!
//! * [`reason`] is the one table of refusals: a row fixes status, challenge, JSON-RPC code, metric label, sentence and log level.
//! * [`challenge`] writes `WWW-Authenticate` from a refusal.
//!
//! **A new refusal is a new row in [`reason`]**, and the check that returns it.

pub mod challenge;
pub mod reason;

use std::{sync::Arc, time::Duration};

use crate::scope::ScopeSet;
use reason::Reason;

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
