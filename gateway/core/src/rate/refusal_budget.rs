//! How many refusals an address may cause before its tokens are refused without verification: a token bucket for each.
//!
//! Any client can be refused, from as many addresses as it has, so the oldest buckets are removed where there are too
//! many. Addresses are stored in two generations, each for the time in which a bucket fills: an address in neither has a
//! full bucket.

use std::{collections::HashMap, time::Duration};

use crate::{http::client_address::CountedAddress, rate::token_bucket::Rate};

/// Addresses that are stored; above that, the older half is removed.
pub const MAX_ADDRESSES: usize = 100_000;

/// The time in which an empty bucket fills.
const SPAN: Duration = Duration::from_secs(60);

/// The buckets of all addresses; at first all of them are full.
#[derive(Debug, Default)]
pub struct RefusalBudget {
    young: HashMap<CountedAddress, Duration>,
    old: HashMap<CountedAddress, Duration>,
    turned: Duration,
}

impl RefusalBudget {
    /// Takes one refusal from an address that may cause `per_minute`.
    pub fn spend(&mut self, address: CountedAddress, per_minute: u32, now: Duration) {
        // No debt: no matter how many requests are refused at once, after a minute the bucket is full.
        let full_at = rate(per_minute).after(self.full_at(address).unwrap_or(now), now);
        let is_full = self.young.len() >= MAX_ADDRESSES / 2 && !self.young.contains_key(&address);
        if is_full || now.saturating_sub(self.turned) >= SPAN {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        self.young.insert(address, full_at);
    }

    /// How long an address has to wait until it may cause another refusal; `None` when it may at once.
    pub fn wait(
        &self,
        address: CountedAddress,
        per_minute: u32,
        now: Duration,
    ) -> Option<Duration> {
        let wait = rate(per_minute).wait(self.full_at(address)?, now);
        (!wait.is_zero()).then_some(wait)
    }

    /// How many addresses are stored.
    pub fn addresses(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn full_at(&self, address: CountedAddress) -> Option<Duration> {
        let known = self.young.get(&address).or_else(|| self.old.get(&address));
        known.copied()
    }
}

fn rate(per_minute: u32) -> Rate {
    Rate::new(per_minute, SPAN, per_minute)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const START: Duration = Duration::from_secs(1000);

    fn address(number: u32) -> CountedAddress {
        CountedAddress::of(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn a_minutes_worth_is_free_and_then_one_at_a_time() {
        let mut budget = RefusalBudget::default();
        for _ in 0..30 {
            assert_eq!(budget.wait(address(1), 30, START), None);
            budget.spend(address(1), 30, START);
        }
        assert_eq!(budget.wait(address(1), 30, START), Some(2 * SECOND));
        assert_eq!(budget.wait(address(1), 30, START + SECOND), Some(SECOND));
        assert_eq!(budget.wait(address(1), 30, START + 2 * SECOND), None);
        budget.spend(address(1), 30, START + 2 * SECOND);
        let again = budget.wait(address(1), 30, START + 2 * SECOND);
        assert_eq!(again, Some(2 * SECOND));
        assert_eq!(budget.wait(address(2), 30, START), None);
    }

    #[test]
    fn refusals_above_the_limit_make_no_debt() {
        let mut budget = RefusalBudget::default();
        for _ in 0..1000 {
            budget.spend(address(1), 10, START);
        }
        assert_eq!(budget.wait(address(1), 10, START), Some(6 * SECOND));
        assert_eq!(budget.wait(address(1), 10, START + 6 * SECOND), None);
    }

    #[test]
    fn a_limit_of_one_a_minute_waits_the_minute() {
        let mut budget = RefusalBudget::default();
        budget.spend(address(1), 1, START);
        assert_eq!(budget.wait(address(1), 1, START), Some(SPAN));
        assert_eq!(budget.wait(address(1), 1, START + SPAN), None);
    }

    #[test]
    fn a_bucket_outlives_its_generation_until_it_is_full() {
        let mut budget = RefusalBudget::default();
        let late = START + 59 * SECOND;
        for _ in 0..10 {
            budget.spend(address(1), 10, late);
        }
        budget.spend(address(2), 10, START + SPAN);
        assert!(budget.wait(address(1), 10, START + SPAN).is_some());
    }

    #[test]
    fn every_address_is_stored_while_there_is_room() {
        let mut budget = RefusalBudget::default();
        for number in 0..1000 {
            budget.spend(address(number), 1, START);
        }
        assert_eq!(budget.addresses(), 1000);
        let waits = (0..1000).filter_map(|number| budget.wait(address(number), 1, START));
        assert_eq!(waits.count(), 1000);
    }

    #[test]
    fn the_number_of_addresses_is_bounded_and_the_newest_stays() {
        let mut budget = RefusalBudget::default();
        for number in 0..300_000 {
            budget.spend(address(number), 1, START);
            assert!(budget.addresses() <= MAX_ADDRESSES);
        }
        assert!(budget.wait(address(299_999), 1, START).is_some());
        assert_eq!(budget.wait(address(0), 1, START), None);
        // An expired generation is removed with the next refusal.
        budget.spend(address(1), 1, START + SPAN);
        budget.spend(address(1), 1, START + 2 * SPAN);
        assert!(budget.addresses() <= 2);
    }
}
