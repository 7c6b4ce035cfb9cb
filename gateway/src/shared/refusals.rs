//! The refusals that each address has caused (`limits.refusals_per_address`), counted at the rim: with a lock and a clock.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_core::{http::client_address::counted_as, rate::refusal_budget::RefusalBudget};

/// What every address has left.
#[derive(Debug)]
pub(crate) struct RefusalsPerAddress {
    budget: Mutex<RefusalBudget>,
    started: Instant,
}

impl RefusalsPerAddress {
    /// Nothing was refused yet.
    pub(crate) fn new() -> Self {
        Self {
            budget: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Counts a refusal that `client` caused, of `per_minute` that it may cause.
    pub(crate) fn count(&self, client: IpAddr, per_minute: u32) {
        self.lock()
            .spend(counted_as(client), per_minute, self.started.elapsed());
    }

    /// How long an address that caused more than `per_minute` must wait.
    pub(crate) fn wait(&self, client: IpAddr, per_minute: u32) -> Option<Duration> {
        self.lock()
            .wait(counted_as(client), per_minute, self.started.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, RefusalBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
