//! All API keys of a gateway, and the decision about one that a request presents.

use std::collections::{HashMap, HashSet};

use super::{
    entry::KeyEntry,
    text::{ApiKey, KeyDigest},
};
use crate::refusal::reason::Reason;
use crate::time::UnixTime;

/// The most keys of a gateway, in all files together.
pub const MAX_KEYS: usize = 10_000;

/// API keys by their digests.
///
/// A lookup takes longer or shorter depending on the digest. That reveals nothing of use: nobody can choose the digest of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRing {
    by_digest: HashMap<KeyDigest, KeyEntry>,
    names: HashSet<String>,
}

/// Why a key cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Another key has its name: it would not be clear which of them a log line means.
    #[error("another key has the same name")]
    SameName,
    /// Another entry is about the same key: it would not be clear which of them holds.
    #[error("another entry has the same digest")]
    SameKey,
    /// There are too many.
    #[error("too many keys: at most {MAX_KEYS}")]
    TooMany,
}

impl KeyRing {
    /// Adds a key.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn add(&mut self, entry: KeyEntry) -> Result<(), RingError> {
        if self.by_digest.len() >= MAX_KEYS {
            return Err(RingError::TooMany);
        }
        if self.by_digest.contains_key(&entry.digest) {
            return Err(RingError::SameKey);
        }
        if !self.names.insert(entry.name.clone()) {
            return Err(RingError::SameName);
        }
        self.by_digest.insert(entry.digest, entry);
        Ok(())
    }

    /// The keys, in no order.
    pub fn entries(&self) -> impl Iterator<Item = &KeyEntry> {
        self.by_digest.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_digest.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// The entry of a key, whether or not it can be used.
    pub fn find(&self, key: &ApiKey<'_>) -> Option<&KeyEntry> {
        self.by_digest.get(&key.digest())
    }

    /// The entry of a key that may be used now, for the resource with this path and this URI.
    ///
    /// # Errors
    /// [`Reason::UnknownApiKey`], [`Reason::WrongAudience`] or [`Reason::Expired`].
    pub fn judge(
        &self,
        key: &ApiKey<'_>,
        (path, uri): (&str, &str),
        now: UnixTime,
    ) -> Result<&KeyEntry, Reason> {
        let entry = self.find(key).ok_or(Reason::UnknownApiKey)?;
        if !entry.opens(path, uri) {
            return Err(Reason::WrongAudience);
        }
        match entry.is_over(now) {
            true => Err(Reason::Expired),
            false => Ok(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        entry::{NEVER, Opens, principal},
        text::new_key,
    };
    use super::*;
    use crate::scope::ScopeSet;

    const MCP: (&str, &str) = ("/mcp", "https://mcp.example.com/mcp");

    fn text(seed: u8) -> String {
        new_key(&[seed; 30]).unwrap()
    }

    fn entry(name: &str, seed: u8, resources: Opens, expires: UnixTime) -> KeyEntry {
        KeyEntry {
            name: name.to_owned(),
            digest: ApiKey::parse(&text(seed)).unwrap().digest(),
            principal: principal(name, "ci", ScopeSet::default()),
            resources,
            expires,
            created: None,
        }
    }

    #[test]
    fn a_key_is_judged_by_its_entry() {
        let these = |path: &str| Opens::These(vec![path.to_owned()]);
        let soon = UnixTime::new(1000);
        let mut ring = KeyRing::default();
        for added in [
            entry("one", 1, these("/mcp"), soon),
            entry("two", 2, Opens::Every, NEVER),
            entry("three", 3, these("/other"), soon),
        ] {
            ring.add(added).unwrap();
        }
        for (seed, now, expected) in [
            (1, 999, Ok("one")),
            (1, 1000, Err(Reason::Expired)),
            (2, 1_000_000, Ok("two")),
            (3, 999, Err(Reason::WrongAudience)),
            // Where it does not belong, nobody learns that it expired.
            (3, 1000, Err(Reason::WrongAudience)),
            (4, 999, Err(Reason::UnknownApiKey)),
        ] {
            let text = text(seed);
            let key = ApiKey::parse(&text).unwrap();
            let judged = ring.judge(&key, MCP, UnixTime::new(now));
            assert_eq!(judged.map(|entry| &*entry.name), expected, "{seed} {now}");
        }
        assert_eq!((ring.len(), ring.is_empty()), (3, false));
    }

    #[test]
    fn names_and_digests_are_there_once() {
        let mut ring = KeyRing::default();
        let add =
            |ring: &mut KeyRing, name: &str, seed| ring.add(entry(name, seed, Opens::Every, NEVER));
        assert_eq!(add(&mut ring, "one", 1), Ok(()));
        assert_eq!(add(&mut ring, "one", 2), Err(RingError::SameName));
        assert_eq!(add(&mut ring, "two", 1), Err(RingError::SameKey));
        assert_eq!(add(&mut ring, "two", 2), Ok(()));
    }
}
