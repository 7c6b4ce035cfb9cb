//! The refusals that each address has caused (`limits.refusals_per_address`), with a lock and a clock around the core's
//! limit.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mcp_gateway_core::{http::client_address::CountedAddress, rate::refusal_budget::RefusalBudget};

/// The remaining allowance of every address.
#[derive(Debug)]
pub(crate) struct RefusalsPerAddress {
    budget: Mutex<RefusalBudget>,
    started: Instant,
}

impl RefusalsPerAddress {
    /// Full allowances.
    pub(crate) fn new() -> Self {
        Self {
            budget: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Counts a refusal that `client` caused; `per_minute` is the limit.
    pub(crate) fn count(&self, client: CountedAddress, per_minute: u32) {
        self.lock()
            .spend(client, per_minute, self.started.elapsed());
    }

    /// How long an address must wait that caused more than `per_minute`.
    pub(crate) fn wait(&self, client: CountedAddress, per_minute: u32) -> Option<Duration> {
        self.lock().wait(client, per_minute, self.started.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, RefusalBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> CountedAddress {
        CountedAddress::of(text.parse().unwrap())
    }

    #[test]
    fn an_address_waits_once_it_has_caused_the_limit() {
        let refusals = RefusalsPerAddress::new();
        let client = address("192.0.2.1");
        refusals.count(client, 2);
        assert_eq!(refusals.wait(client, 2), None);
        refusals.count(client, 2);
        let wait = refusals.wait(client, 2).unwrap();
        assert!(
            wait > Duration::from_secs(20) && wait <= Duration::from_secs(30),
            "{wait:?}"
        );
        assert_eq!(refusals.wait(address("192.0.2.2"), 2), None);
    }

    #[test]
    fn one_network_of_ipv6_and_one_address_of_ipv4_count_as_one() {
        let refusals = RefusalsPerAddress::new();
        refusals.count(address("2001:db8::1"), 1);
        refusals.count(address("::ffff:192.0.2.1"), 1);
        for (other, must_wait) in [
            ("2001:db8::ffff:1", true),
            ("2001:db8:0:1::1", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
        ] {
            let wait = refusals.wait(address(other), 1);
            assert_eq!(wait.is_some(), must_wait, "{other}");
        }
    }
}
