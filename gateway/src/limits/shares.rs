//! What each holder has taken of something, up to the share of one holder. A holder that has taken nothing has no entry.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What every holder has taken; cheap to clone.
#[derive(Debug)]
pub(crate) struct Shares<K>(Arc<Mutex<HashMap<K, usize>>>);

/// One taken by its holder; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share<K: Eq + Hash> {
    of: Shares<K>,
    holder: K,
}

impl<K> Clone for Shares<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Shares<K> {
    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody has taken anything.
    #[cfg(test)]
    pub(super) fn are_empty(&self) -> bool {
        self.taken().is_empty()
    }
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// One more for this holder, unless it has `most` already.
    pub(crate) fn try_acquire(&self, holder: K, most: usize) -> Option<Share<K>> {
        let mut taken = self.taken();
        let count = taken.get(&holder).copied().unwrap_or(0);
        if count >= most {
            return None;
        }
        taken.insert(holder.clone(), count + 1);
        Some(Share {
            of: self.clone(),
            holder,
        })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_gets_its_share_and_no_more() {
        let shares = Shares::default();
        let acquire = |holder| shares.try_acquire(holder, 2);
        let (one, two) = (acquire("ana"), acquire("ana"));
        assert!(one.is_some() && two.is_some());
        assert!(acquire("ana").is_none());
        assert!(acquire("ben").is_some());
        drop(one);
        assert!(acquire("ana").is_some());
        drop(two);
        assert!(shares.are_empty());
    }
}
