//! How often somebody may try to sign in. Attempts are counted by account and by address; after a few free ones the next has to
//! wait, twice as long with each (OWASP ASVS 2.2.1).
//!
//! Somebody who guesses the password of an account from strange addresses must not keep its user out: the addresses from which the
//! user signed in before have counts of their own. A name that is in no file is counted as an account is, so that answers do not
//! say which names exist. Accounts of the file are never forgotten for others; strange names and addresses are, the oldest first.
//!
//! Only wrong passwords count, so that people who sign in at the same time do not slow one another down. That holds back guesses at
//! the same time too, because passwords are looked at one after the other: [`Throttle::check`] before each, [`Throttle::failed`] or
//! [`Throttle::succeeded`] after it. Times are those of a clock that only goes forward.

use std::{collections::HashMap, hash::Hash, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use mcp_gateway_core::http::client_address::CountedAddress;

use super::user::typed;

/// Addresses and strange names that are remembered, of each; above that, the older half is forgotten.
pub const MAX_REMEMBERED: usize = 50_000;

/// Addresses of one account that have a count of their own.
pub const MAX_FAMILIAR: usize = 8;

/// How attempts are slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts that need not wait.
    pub free: u32,
    /// How long the first attempt after them waits; the next waits twice as long.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
    /// After this time without an attempt all are forgotten.
    pub forgotten: Duration,
}

/// The pace of attempts at one account: some 100 guesses a day.
pub const BY_ACCOUNT: Pace = Pace {
    free: 5,
    first: Duration::from_secs(2),
    most: Duration::from_secs(15 * 60),
    forgotten: Duration::from_secs(24 * 60 * 60),
};

/// The pace of attempts from one address, which many people may share.
pub const BY_ADDRESS: Pace = Pace {
    free: 20,
    first: Duration::from_secs(1),
    most: Duration::from_secs(60),
    forgotten: Duration::from_secs(60 * 60),
};

/// Why an attempt has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottledBy {
    /// There were too many at this account.
    Account,
    /// There were too many from this address.
    Address,
}

/// An attempt has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to sign in")]
pub struct Throttled {
    /// Why.
    pub by: ThrottledBy,
    /// How long, exactly.
    pub wait: Duration,
}

impl Throttled {
    /// The value of `Retry-After`: the wait in seconds, rounded up.
    pub fn retry_after(&self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

/// An attempt to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    account: AccountKey,
    is_known: bool,
    address: CountedAddress,
}

impl Attempt {
    /// An attempt with this name, as it was typed; `is_known` if the file has it.
    pub fn new(name: &str, is_known: bool, address: CountedAddress) -> Self {
        Self {
            account: account_key(name),
            is_known,
            address,
        }
    }
}

/// A digest of a name, so that long names need no more memory.
type AccountKey = [u8; 16];

/// All counts.
#[derive(Debug, Default)]
pub struct Throttle {
    known: HashMap<AccountKey, Account>,
    strange: Recent<AccountKey>,
    addresses: Recent<CountedAddress>,
}

/// The counts of an account of the file.
#[derive(Debug, Default)]
struct Account {
    elsewhere: Count,
    /// Where its user signed in, the last first.
    familiar: Vec<(CountedAddress, Count)>,
}

impl Throttle {
    /// Whether the password of this attempt may be looked at now.
    ///
    /// # Errors
    /// [`Throttled`]: it has to wait.
    pub fn check(&self, attempt: &Attempt, now: Duration) -> Result<(), Throttled> {
        let by_account = self.of_account(attempt);
        let by_account = by_account.map_or(Duration::ZERO, |count| count.wait(&BY_ACCOUNT, now));
        let by_address = self.addresses.get(&attempt.address);
        let by_address = by_address.map_or(Duration::ZERO, |count| count.wait(&BY_ADDRESS, now));
        let (by, wait) = if by_account >= by_address {
            (ThrottledBy::Account, by_account)
        } else {
            (ThrottledBy::Address, by_address)
        };
        match wait.is_zero() {
            true => Ok(()),
            false => Err(Throttled { by, wait }),
        }
    }

    /// The password was wrong: the attempt counts.
    pub fn failed(&mut self, attempt: &Attempt, now: Duration) {
        self.of_account_mut(attempt).add(&BY_ACCOUNT, now);
        self.addresses.entry(attempt.address).add(&BY_ADDRESS, now);
    }

    /// The password was right: the account begins anew at this address. What others tried from there stays, so that nobody can clear
    /// an address with an account of their own.
    pub fn succeeded(&mut self, attempt: &Attempt) {
        if attempt.is_known {
            let account = self.known.entry(attempt.account).or_default();
            account
                .familiar
                .retain(|(address, _)| *address != attempt.address);
            account
                .familiar
                .insert(0, (attempt.address, Count::default()));
            account.familiar.truncate(MAX_FAMILIAR);
        }
    }

    /// Forgets accounts that are no longer in the file. `names` are those that are.
    pub fn keep<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let kept: std::collections::HashSet<_> = names.into_iter().map(account_key).collect();
        self.known.retain(|account, _| kept.contains(account));
    }

    /// How many counts there are.
    pub fn remembered(&self) -> usize {
        self.known.len() + self.strange.len() + self.addresses.len()
    }

    fn of_account(&self, attempt: &Attempt) -> Option<&Count> {
        if !attempt.is_known {
            return self.strange.get(&attempt.account);
        }
        let account = self.known.get(&attempt.account)?;
        let mut familiar = account.familiar.iter();
        let own = familiar.find(|(familiar, _)| *familiar == attempt.address);
        Some(own.map_or(&account.elsewhere, |(_, count)| count))
    }

    fn of_account_mut(&mut self, attempt: &Attempt) -> &mut Count {
        if !attempt.is_known {
            return self.strange.entry(attempt.account);
        }
        let account = self.known.entry(attempt.account).or_default();
        let mut familiar = account.familiar.iter_mut();
        let own = familiar.find(|(familiar, _)| *familiar == attempt.address);
        own.map_or(&mut account.elsewhere, |(_, count)| count)
    }
}

/// Attempts, and when the last one was.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    attempts: u32,
    last: Duration,
}

impl Count {
    /// How long the next attempt has to wait.
    fn wait(&self, pace: &Pace, now: Duration) -> Duration {
        let next = self.last.saturating_add(pace.after(self.attempts));
        next.saturating_sub(now)
    }

    fn add(&mut self, pace: &Pace, now: Duration) {
        if now.saturating_sub(self.last) >= pace.forgotten {
            self.attempts = 0;
        }
        self.attempts = self.attempts.saturating_add(1);
        self.last = now;
    }
}

impl Pace {
    /// How long to wait after this many attempts.
    fn after(&self, attempts: u32) -> Duration {
        let Some(doubled) = attempts.checked_sub(self.free) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doubled).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.most)
    }
}

/// Counts in two generations of at most half of [`MAX_REMEMBERED`] each: when the young one is full, the old one is forgotten.
#[derive(Debug)]
struct Recent<K> {
    young: HashMap<K, Count>,
    old: HashMap<K, Count>,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Recent<K> {
    fn get(&self, key: &K) -> Option<&Count> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn entry(&mut self, key: K) -> &mut Count {
        let old = self.old.remove(&key).unwrap_or_default();
        if self.young.len() >= MAX_REMEMBERED / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert(old)
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

fn account_key(name: &str) -> AccountKey {
    let digest = digest(&SHA256, typed(name).as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const START: Duration = Duration::from_secs(1000);

    const SECOND: Duration = Duration::from_secs(1);

    fn address(number: u32) -> CountedAddress {
        CountedAddress::of(Ipv4Addr::from_bits(number).into())
    }

    /// Tries at an account until it has to wait, and returns how often it did not have to.
    fn free(
        throttle: &mut Throttle,
        name: &str,
        is_known: bool,
        from: u32,
        now: Duration,
    ) -> (u32, Throttled) {
        let mut begun = 0;
        loop {
            match wrong(throttle, name, is_known, from, now) {
                Ok(()) => begun += 1,
                Err(throttled) => return (begun, throttled),
            }
        }
    }

    /// A wrong password, if it may be looked at.
    fn wrong(
        throttle: &mut Throttle,
        name: &str,
        is_known: bool,
        from: u32,
        now: Duration,
    ) -> Result<(), Throttled> {
        let attempt = Attempt::new(name, is_known, address(from));
        throttle.check(&attempt, now)?;
        throttle.failed(&attempt, now);
        Ok(())
    }

    /// A right password, which may always be looked at.
    fn right(throttle: &mut Throttle, name: &str, from: u32) {
        let attempt = Attempt::new(name, true, address(from));
        throttle.check(&attempt, START).unwrap();
        throttle.succeeded(&attempt);
    }

    #[test]
    fn a_few_attempts_are_free_and_the_next_ones_wait_twice_as_long_each() {
        for is_known in [true, false] {
            let mut throttle = Throttle::default();
            let mut now = START;
            let (begun, mut throttled) = free(&mut throttle, "ana", is_known, 1, now);
            assert_eq!(begun, BY_ACCOUNT.free, "{is_known}");
            for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
                assert_eq!(throttled.by, ThrottledBy::Account);
                assert_eq!(throttled.wait, wait * SECOND, "{is_known}");
                now += throttled.wait - Duration::from_nanos(1);
                let early = wrong(&mut throttle, "ana", is_known, 1, now);
                assert_eq!(early.unwrap_err().retry_after(), 1);
                now += Duration::from_nanos(1);
                let (begun, next) = free(&mut throttle, "ana", is_known, 1, now);
                assert_eq!(begun, 1, "{wait} s, {is_known}");
                throttled = next;
            }
            now += BY_ACCOUNT.forgotten;
            assert_eq!(
                free(&mut throttle, "ana", is_known, 1, now).0,
                BY_ACCOUNT.free
            );
        }
    }

    #[test]
    fn a_name_is_counted_as_it_is_compared() {
        let mut throttle = Throttle::default();
        for name in ["ana", "Ana", " ANA", "aNa ", "anA"] {
            wrong(&mut throttle, name, true, 1, START).unwrap();
        }
        assert!(wrong(&mut throttle, "ana", true, 1, START).is_err());
        assert!(wrong(&mut throttle, "bo", true, 1, START).is_ok());
    }

    #[test]
    fn an_address_has_a_pace_of_its_own() {
        let mut throttle = Throttle::default();
        for number in 0..BY_ADDRESS.free {
            let name = format!("user {number}");
            wrong(&mut throttle, &name, false, 1, START).unwrap();
        }
        let throttled = wrong(&mut throttle, "one more", true, 1, START);
        let expected = Throttled {
            by: ThrottledBy::Address,
            wait: SECOND,
        };
        assert_eq!(throttled, Err(expected));
        assert!(wrong(&mut throttle, "one more", true, 2, START).is_ok());
    }

    #[test]
    fn guesses_from_strange_addresses_do_not_keep_the_user_out() {
        let mut throttle = Throttle::default();
        right(&mut throttle, "ana", 1);
        for from in 10..10 + BY_ACCOUNT.free {
            wrong(&mut throttle, "ana", true, from, START).unwrap();
        }
        assert!(wrong(&mut throttle, "ana", true, 99, START).is_err());
        // At home the user still has all attempts, and these are not endless.
        assert_eq!(
            free(&mut throttle, "ana", true, 1, START).0,
            BY_ACCOUNT.free
        );
    }

    #[test]
    fn a_right_password_does_not_count_and_clears_no_address() {
        let mut throttle = Throttle::default();
        for _ in 0..1000 {
            right(&mut throttle, "ana", 1);
        }
        for number in 0..BY_ADDRESS.free - 1 {
            let name = format!("user {number}");
            wrong(&mut throttle, &name, false, 1, START).unwrap();
        }
        // The account of a guesser does not clear the address.
        right(&mut throttle, "ana", 1);
        wrong(&mut throttle, "last", false, 1, START).unwrap();
        assert!(wrong(&mut throttle, "ana", true, 1, START).is_err());
    }

    #[test]
    fn many_addresses_together_have_no_more_attempts_at_an_account() {
        let mut throttle = Throttle::default();
        let looked_at = (0..100).filter(|number| {
            let from = 1000 + number;
            wrong(&mut throttle, "ana", true, from, START).is_ok()
        });
        assert_eq!(looked_at.count(), BY_ACCOUNT.free as usize);
    }

    #[test]
    fn memory_is_bounded_and_accounts_of_the_file_are_not_forgotten_for_others() {
        let mut throttle = Throttle::default();
        free(&mut throttle, "ana", true, 1, START);
        for number in 0..200_000 {
            let name = format!("stranger {number}");
            let _ = wrong(&mut throttle, &name, false, number, START);
            assert!(throttle.remembered() <= 2 * MAX_REMEMBERED + 1);
        }
        assert!(wrong(&mut throttle, "ana", true, 7, START).is_err());
        for from in 0..100 {
            right(&mut throttle, "bo", from);
        }
        let bo = &throttle.known[&account_key("bo")];
        assert_eq!(bo.familiar.len(), MAX_FAMILIAR);
        throttle.keep(["bo"]);
        assert_eq!(throttle.known.len(), 1);
    }
}
