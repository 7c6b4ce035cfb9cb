//! What is remembered for callers: bounded in number, with a share for each owner, and each until its own end. Instants are times since the
//! start of a clock that only goes forward.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

/// What something is remembered under: the digest of a caller's token.
pub type HoldingKey = [u8; 32];

/// What is remembered. `O` is who owns it.
#[derive(Debug)]
pub struct Holdings<O, V> {
    most: usize,
    /// The most of one owner.
    share: usize,
    held: HashMap<HoldingKey, Held<O, V>>,
    /// The keys of each owner, the oldest first.
    owned: HashMap<O, VecDeque<HoldingKey>>,
    /// All keys, by when they end.
    ends: BTreeSet<(Duration, HoldingKey)>,
}

#[derive(Debug)]
struct Held<O, V> {
    owner: O,
    value: V,
    end: Duration,
}

impl<O: Eq + Hash + Clone, V> Holdings<O, V> {
    /// Room for so many, `share` of them of one owner.
    pub fn new(most: usize, share: usize) -> Self {
        Self {
            most: most.max(1),
            share: share.clamp(1, most.max(1)),
            held: HashMap::new(),
            owned: HashMap::new(),
            ends: BTreeSet::new(),
        }
    }

    /// What is remembered under this key and has not ended.
    pub fn get(&self, key: &HoldingKey, now: Duration) -> Option<&V> {
        let held = self.held.get(key)?;
        (now < held.end).then_some(&held.value)
    }

    /// Remembers this until its end. What has ended makes room first, then the owner's oldest where its share is used up, then what ends
    /// next.
    pub fn insert(
        &mut self,
        key: HoldingKey,
        owner: O,
        value: V,
        (now, end): (Duration, Duration),
    ) {
        self.remove(&key);
        self.remove_ended(now);
        if end <= now {
            return;
        }
        while let Some(oldest) = self.beyond_share(&owner) {
            self.remove(&oldest);
        }
        while let Some((_, next)) = self
            .ends
            .first()
            .copied()
            .filter(|_| self.held.len() >= self.most)
        {
            self.remove(&next);
        }
        self.ends.insert((end, key));
        self.owned.entry(owner.clone()).or_default().push_back(key);
        self.held.insert(key, Held { owner, value, end });
    }

    /// Forgets what is remembered under this key.
    pub fn remove(&mut self, key: &HoldingKey) -> Option<V> {
        let held = self.held.remove(key)?;
        self.ends.remove(&(held.end, *key));
        if let Some(keys) = self.owned.get_mut(&held.owner) {
            keys.retain(|own| own != key);
            if keys.is_empty() {
                self.owned.remove(&held.owner);
            }
        }
        Some(held.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether all that is remembered is found in each of the three ways, and nobody has more than a share.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let owned: usize = self.owned.values().map(VecDeque::len).sum();
        let is_shared = self
            .owned
            .values()
            .all(|keys| (1..=self.share).contains(&keys.len()));
        is_shared && owned == self.held.len() && self.ends.len() == self.held.len()
    }

    fn beyond_share(&self, owner: &O) -> Option<HoldingKey> {
        let keys = self.owned.get(owner)?;
        keys.front().copied().filter(|_| keys.len() >= self.share)
    }

    fn remove_ended(&mut self, now: Duration) {
        while let Some((_, key)) = self.ends.first().copied().filter(|(end, _)| *end <= now) {
            self.remove(&key);
        }
    }
}
