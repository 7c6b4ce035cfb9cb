//! What each holder has taken of the pools that all callers share: one account for each subject of an issuer, and one for
//! each client address. The pools themselves are [`in_flight`](super::in_flight) and [`body_budget`](super::body_budget).
//!
//! An account exists while somebody holds it: a cached token, a request, or a share of a pool. So there are never more
//! accounts than those, and counting in one takes no lock.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicUsize},
};

use mcp_gateway_core::{http::client_address::CountedAddress, principal::Subject};

/// The account of a subject, over all of its clients.
pub(crate) type SubjectAccount = Account<Subject>;

/// The account of a client address (IPv6: one /64); all clients of a proxy whose address is unknown share one.
pub(crate) type AddressAccount = Account<CountedAddress>;

/// The accounts of one kind of holders.
#[derive(Debug)]
pub(crate) struct Accounts<K: Eq + Hash>(Mutex<HashMap<K, Weak<Account<K>>>>);

/// What one holder has taken.
#[derive(Debug)]
pub(crate) struct Account<K: Eq + Hash> {
    holder: K,
    accounts: Arc<Accounts<K>>,
    /// Calls in flight.
    pub(super) calls: AtomicUsize,
    /// Open listening streams.
    pub(super) listening_streams: AtomicUsize,
    /// Bytes of bodies in memory.
    pub(super) body_bytes: AtomicUsize,
}

impl<K: Eq + Hash> Default for Accounts<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone> Accounts<K> {
    /// The account of this holder.
    pub(crate) fn of(self: &Arc<Self>, holder: K) -> Arc<Account<K>> {
        let mut accounts = self.lock();
        match accounts.entry(holder) {
            Entry::Vacant(place) => {
                let account = self.opened(place.key());
                place.insert(Arc::downgrade(&account));
                account
            }
            Entry::Occupied(mut place) => place.get().upgrade().unwrap_or_else(|| {
                let account = self.opened(place.key());
                place.insert(Arc::downgrade(&account));
                account
            }),
        }
    }

    /// A new account, with nothing taken.
    fn opened(self: &Arc<Self>, holder: &K) -> Arc<Account<K>> {
        Arc::new(Account {
            holder: holder.clone(),
            accounts: self.clone(),
            calls: AtomicUsize::new(0),
            listening_streams: AtomicUsize::new(0),
            body_bytes: AtomicUsize::new(0),
        })
    }
}

impl<K: Eq + Hash> Accounts<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Weak<Account<K>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Account<K> {
    /// Whose it is.
    pub(crate) const fn holder(&self) -> &K {
        &self.holder
    }
}

impl<K: Eq + Hash> Drop for Account<K> {
    fn drop(&mut self) {
        let mut accounts = self.accounts.lock();
        // Meanwhile there may be a new one of the same holder.
        if let Some((holder, account)) = accounts.remove_entry(&self.holder)
            && account.strong_count() > 0
        {
            accounts.insert(holder, account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_has_one_account_while_somebody_holds_it() {
        let accounts: Arc<Accounts<&str>> = Arc::default();
        let (one, same, other) = (accounts.of("a"), accounts.of("a"), accounts.of("b"));
        assert!(Arc::ptr_eq(&one, &same));
        assert_eq!(accounts.lock().len(), 2);
        drop((one, other));
        assert_eq!(accounts.lock().len(), 1);
        assert!(Arc::ptr_eq(&same, &accounts.of("a")));
        drop(same);
        assert!(accounts.lock().is_empty());
    }

    #[test]
    fn an_account_that_ends_while_its_holder_returns_leaves_the_new_one() {
        let accounts: Arc<Accounts<u16>> = Arc::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|number| drop(accounts.of(number % 2))));
            }
        });
        assert!(accounts.lock().is_empty());
    }
}
