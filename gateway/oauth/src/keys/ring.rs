//! The keys that sign access tokens, one after another.
//!
//! A key is published before it signs, so that every cache of the key set has it in time; then it signs until the next one does;
//! then it stays published until the last token that it signed has expired. The rim asks what is due, does it, and stores the ring.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mcp_gateway_core::time::UnixTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::signing_key::{SigningAlgorithm, SigningKey, SigningKeyError};
use crate::secret::Secret;

/// The most keys that a stored ring may have.
pub const MAX_KEYS: usize = 32;

/// How much longer than its last token a key stays published: clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// When keys change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What new keys sign with. Another algorithm than the newest key's makes a new key due.
    pub algorithm: SigningAlgorithm,
    /// How long a key signs.
    pub rotation: Duration,
    /// How long a key is published before it signs: as long as resource servers cache the key set. At most `rotation`.
    pub publish_before: Duration,
    /// The longest lifetime of an access token.
    pub access_token: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            algorithm: SigningAlgorithm::default(),
            rotation: DAY.saturating_mul(30),
            publish_before: DAY,
            access_token: Duration::from_secs(15 * 60),
        }
    }
}

/// What is due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// A new key for this algorithm: [`Ring::add`].
    pub new_key: Option<SigningAlgorithm>,
    /// The ids of keys that no valid token needs: [`Ring::retire`].
    pub retired: Vec<String>,
}

/// A stored ring cannot be read. No error shows a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// It is not a ring.
    #[error("not a ring of signing keys: line {line}, column {column}")]
    Text {
        /// Where, from 1.
        line: usize,
        /// Where, from 1; 0 for the end of a line.
        column: usize,
    },
    /// It has no keys, or too many.
    #[error("a ring of signing keys has 1 to {MAX_KEYS} keys, not {0}")]
    Keys(usize),
    /// One of its keys cannot be used.
    #[error(transparent)]
    Key(#[from] SigningKeyError),
}

/// The keys of the server, at least one. A clone shares them.
#[derive(Clone, Debug)]
pub struct Ring {
    oldest: Entry,
    /// In the order in which they sign.
    newer: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Arc<SigningKey>,
    created: UnixTime,
    signs_from: UnixTime,
}

/// A key as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredKey {
    algorithm: SigningAlgorithm,
    created: i64,
    signs_from: i64,
    pkcs8: String,
}

#[derive(Serialize, Deserialize)]
struct StoredRing {
    keys: Vec<StoredKey>,
}

impl Ring {
    /// The ring of a server that never had a key. This one signs at once: nobody can have fetched a key set without it.
    pub fn new(key: SigningKey, now: UnixTime) -> Self {
        Self {
            oldest: Entry {
                key: Arc::new(key),
                created: now,
                signs_from: now,
            },
            newer: Vec::new(),
        }
    }

    /// The key that signs at this instant.
    pub fn signer(&self, now: UnixTime) -> &Arc<SigningKey> {
        let mut newest_first = self.newer.iter().rev();
        let signing = newest_first.find(|entry| entry.signs_from <= now);
        &signing.unwrap_or(&self.oldest).key
    }

    /// The published keys, the oldest first: all of the ring.
    pub fn published(&self) -> impl Iterator<Item = &Arc<SigningKey>> {
        self.entries().map(|entry| &entry.key)
    }

    /// The published keys as a JWK set (RFC 7517 §5).
    pub fn jwk_set(&self) -> Value {
        let keys: Vec<_> = self.published().map(|key| key.jwk().clone()).collect();
        json!({ "keys": keys })
    }

    /// The claims of an access token that a key of this ring signed.
    pub fn open(&self, token: &str) -> Option<Vec<u8>> {
        self.published().find_map(|key| key.open(token))
    }

    /// Whether it has the same keys with the same times.
    pub fn is_same(&self, other: &Self) -> bool {
        let times = |entry: &Entry| (entry.created, entry.signs_from);
        let known = |ring: &Self| -> Vec<_> {
            let entries = ring.entries();
            entries
                .map(|entry| (entry.key.id().to_owned(), times(entry)))
                .collect()
        };
        known(self) == known(other)
    }

    /// Since when the key with this id is in the ring.
    pub fn published_since(&self, id: &str) -> Option<UnixTime> {
        let mut entries = self.entries();
        entries
            .find(|entry| entry.key.id() == id)
            .map(|entry| entry.created)
    }

    /// When the newest key was made.
    pub fn newest_since(&self) -> UnixTime {
        self.newer.last().unwrap_or(&self.oldest).created
    }

    /// What is due at this instant.
    pub fn due(&self, schedule: &Schedule, now: UnixTime) -> Due {
        let newest = self.newer.last().unwrap_or(&self.oldest);
        let is_other = newest.key.algorithm() != schedule.algorithm;
        let is_due = is_other || self.next_key_at(schedule) <= now;
        let retired = self.retired(schedule, now);
        Due {
            new_key: is_due.then_some(schedule.algorithm),
            retired: retired.map(|entry| entry.key.id().to_owned()).collect(),
        }
    }

    /// When something is due next, without a change of the schedule. It may be in the past.
    pub fn next(&self, schedule: &Schedule) -> UnixTime {
        let retirements = self.newer.iter().map(|next| retires_at(next, schedule));
        retirements.fold(self.next_key_at(schedule), UnixTime::min)
    }

    /// The ring with a new key, which signs as soon as it has been published long enough.
    #[must_use]
    pub fn add(&self, key: SigningKey, schedule: &Schedule, now: UnixTime) -> Self {
        let mut ring = self.clone();
        ring.newer.push(Entry {
            key: Arc::new(key),
            created: now,
            signs_from: now.plus(schedule.publish_before),
        });
        ring.newer.sort_by_key(|entry| entry.signs_from);
        ring
    }

    /// The ring with those keys of another one that it lacks: keys that signed tokens stay published even if the store lost them. With
    /// more than [`MAX_KEYS`] keys, the oldest are left out.
    #[must_use]
    pub fn with_keys_of(&self, other: &Self) -> Self {
        let is_missing = |entry: &&Entry| {
            let mut own = self.entries();
            own.all(|own| own.key.id() != entry.key.id())
        };
        let missing = other.entries().filter(is_missing);
        let mut entries: Vec<_> = self.entries().chain(missing).cloned().collect();
        entries.sort_by_key(|entry| entry.signs_from);
        entries.drain(..entries.len().saturating_sub(MAX_KEYS));
        let mut entries = entries.into_iter();
        entries.next().map_or_else(
            || self.clone(),
            |oldest| Self {
                oldest,
                newer: entries.collect(),
            },
        )
    }

    /// The ring without the keys that no valid token needs.
    #[must_use]
    pub fn retire(&self, schedule: &Schedule, now: UnixTime) -> Self {
        let mut kept: Vec<_> = self.entries().cloned().collect();
        kept.drain(..self.retired(schedule, now).count().min(kept.len()));
        let mut kept = kept.into_iter();
        kept.next().map_or_else(
            || self.clone(),
            |oldest| Self {
                oldest,
                newer: kept.collect(),
            },
        )
    }

    /// The ring as a text for a file that only the server can read. It has the private keys.
    pub fn to_text(&self) -> Secret {
        let keys: Vec<_> = self
            .entries()
            .map(|entry| StoredKey {
                algorithm: entry.key.algorithm(),
                created: entry.created.secs(),
                signs_from: entry.signs_from.secs(),
                pkcs8: entry.key.private().expose().to_owned(),
            })
            .collect();
        Secret::new(format!("{:#}\n", json!(StoredRing { keys })))
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// [`RingError`].
    pub fn from_text(text: &Secret) -> Result<Self, RingError> {
        // The library's message quotes the text, so only the place is kept.
        let stored: StoredRing =
            serde_json::from_str(text.expose()).map_err(|error| RingError::Text {
                line: error.line(),
                column: error.column(),
            })?;
        let count = stored.keys.len();
        if count > MAX_KEYS {
            return Err(RingError::Keys(count));
        }
        let entries: Result<Vec<_>, _> = stored.keys.iter().map(Entry::read).collect();
        let mut entries = entries?;
        entries.sort_by_key(|entry| entry.signs_from);
        let mut entries = entries.into_iter();
        Ok(Self {
            oldest: entries.next().ok_or(RingError::Keys(count))?,
            newer: entries.collect(),
        })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(&self.oldest).chain(&self.newer)
    }

    fn next_key_at(&self, schedule: &Schedule) -> UnixTime {
        let newest = self.newer.last().unwrap_or(&self.oldest);
        let ends = newest.signs_from.plus(schedule.rotation);
        ends.minus(schedule.publish_before)
    }

    /// The oldest keys, up to the first one that is still needed.
    fn retired(&self, schedule: &Schedule, now: UnixTime) -> impl Iterator<Item = &Entry> {
        let with_next = self.entries().zip(&self.newer);
        let schedule = *schedule;
        with_next
            .take_while(move |(_, next)| retires_at(next, &schedule) <= now)
            .map(|(entry, _)| entry)
    }
}

impl Entry {
    fn read(stored: &StoredKey) -> Result<Self, SigningKeyError> {
        let pkcs8 = STANDARD.decode(&stored.pkcs8);
        let pkcs8 = pkcs8.map_err(|_| SigningKeyError::NotAKey(stored.algorithm))?;
        Ok(Self {
            key: Arc::new(SigningKey::new(stored.algorithm, &pkcs8)?),
            created: UnixTime::new(stored.created),
            signs_from: UnixTime::new(stored.signs_from),
        })
    }
}

/// When no valid token needs the predecessor of this key.
fn retires_at(next: &Entry, schedule: &Schedule) -> UnixTime {
    let last_token = next.signs_from.plus(schedule.access_token);
    last_token.plus(CLOCK_SKEW)
}

#[cfg(test)]
mod tests {
    use super::super::signing_key::tests::key;
    use super::*;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::new(seconds)
    }

    fn schedule() -> Schedule {
        Schedule {
            algorithm: SigningAlgorithm::Es256,
            rotation: Duration::from_secs(100 * 3600),
            publish_before: Duration::from_secs(2 * 3600),
            access_token: Duration::from_secs(3600),
        }
    }

    fn ids(ring: &Ring) -> Vec<&str> {
        ring.published().map(|key| key.id()).collect()
    }

    #[test]
    fn the_first_key_signs_at_once_and_at_any_time() {
        let ring = Ring::new(key(SigningAlgorithm::Es256), at(1000));
        for now in [0, 1000, 10_000_000_000] {
            assert_eq!(ring.signer(at(now)).id(), ids(&ring)[0]);
        }
        assert_eq!(ring.due(&schedule(), at(1000)), Due::default());
        assert_eq!(ring.next(&schedule()), at(1000 + 98 * HOUR));
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_until_its_last_token_expired() {
        let schedule = schedule();
        let ring = Ring::new(key(SigningAlgorithm::Es256), at(0));
        assert_eq!(ring.due(&schedule, at(98 * HOUR - 1)), Due::default());
        let due = ring.due(&schedule, at(98 * HOUR));
        assert_eq!(due.new_key, Some(SigningAlgorithm::Es256));
        assert!(due.retired.is_empty());

        let both = ring.add(key(SigningAlgorithm::Es256), &schedule, at(98 * HOUR));
        let (first, second) = (ids(&both)[0].to_owned(), ids(&both)[1].to_owned());
        assert_eq!(both.due(&schedule, at(98 * HOUR)), Due::default());
        assert_eq!(both.signer(at(100 * HOUR - 1)).id(), first);
        assert_eq!(both.signer(at(100 * HOUR)).id(), second);

        let last_token = 101 * HOUR + 300;
        assert_eq!(both.next(&schedule), at(last_token));
        assert_eq!(both.due(&schedule, at(last_token - 1)), Due::default());
        assert_eq!(ids(&both.retire(&schedule, at(last_token - 1))).len(), 2);
        let due = both.due(&schedule, at(last_token));
        assert_eq!((due.new_key, due.retired), (None, vec![first.clone()]));
        let rest = both.retire(&schedule, at(last_token));
        assert_eq!(ids(&rest), [second]);
        assert_eq!(rest.due(&schedule, at(last_token)), Due::default());
        assert_eq!(rest.next(&schedule), at(198 * HOUR));
    }

    #[test]
    fn after_a_long_pause_the_old_key_signs_until_the_new_one_was_published_long_enough() {
        let schedule = schedule();
        let ring = Ring::new(key(SigningAlgorithm::Es256), at(0));
        let now = 5000 * HOUR;
        assert!(ring.due(&schedule, at(now)).new_key.is_some());
        let both = ring.add(key(SigningAlgorithm::Es256), &schedule, at(now));
        assert_eq!(both.signer(at(now)).id(), ids(&both)[0]);
        assert_eq!(both.signer(at(now + 2 * HOUR)).id(), ids(&both)[1]);
        assert!(both.due(&schedule, at(now)).retired.is_empty());
    }

    #[test]
    fn another_algorithm_makes_one_new_key_due() {
        let ring = Ring::new(key(SigningAlgorithm::Es256), at(0));
        let schedule = Schedule {
            algorithm: SigningAlgorithm::EdDsa,
            ..schedule()
        };
        let due = ring.due(&schedule, at(1));
        assert_eq!(due.new_key, Some(SigningAlgorithm::EdDsa));
        let both = ring.add(key(SigningAlgorithm::EdDsa), &schedule, at(1));
        assert_eq!(both.due(&schedule, at(1)), Due::default());
        let token = both.signer(at(1)).sign(b"{}").unwrap();
        assert!(both.open(token.expose()).is_some());
        let rest = both.retire(&schedule, at(10 * HOUR));
        assert_eq!(rest.signer(at(0)).algorithm(), SigningAlgorithm::EdDsa);
        assert!(rest.open(token.expose()).is_none());
    }

    #[test]
    fn a_ring_is_read_as_it_was_written_and_its_private_keys_are_not_shown() {
        let schedule = schedule();
        let ring = Ring::new(key(SigningAlgorithm::Es256), at(5));
        let ring = ring.add(key(SigningAlgorithm::EdDsa), &schedule, at(7));
        let text = ring.to_text();
        let read = Ring::from_text(&text).unwrap();
        assert_eq!(read.jwk_set(), ring.jwk_set());
        assert_eq!(read.to_text(), text);
        let shown = format!("{ring:?} {text:?} {}", ring.jwk_set());
        for key in ring.published() {
            assert!(!shown.contains(key.private().expose()));
            assert!(text.expose().contains(key.private().expose()));
        }
    }

    #[test]
    fn a_damaged_ring_is_refused_without_showing_it() {
        let good = Ring::new(key(SigningAlgorithm::Es256), at(5)).to_text();
        let good = good.expose();
        let one: Value = serde_json::from_str(good).unwrap();
        let one = one["keys"][0].clone();
        let many: Vec<_> = (0..=MAX_KEYS).map(|_| one.clone()).collect();
        let no_key = RingError::Key(SigningKeyError::NotAKey(SigningAlgorithm::Es256));
        let mut other = one.clone();
        other["pkcs8"] = json!("c2VjcmV0");
        let mut unencoded = one.clone();
        unencoded["pkcs8"] = json!("-----BEGIN");
        for (text, expected) in [
            (json!({ "keys": [] }).to_string(), Some(RingError::Keys(0))),
            (
                json!({ "keys": many }).to_string(),
                Some(RingError::Keys(33)),
            ),
            (json!({ "keys": [other] }).to_string(), Some(no_key)),
            (json!({ "keys": [unencoded] }).to_string(), Some(no_key)),
            (json!({ "keys": "c2VjcmV0" }).to_string(), None),
            (good.replace(": 5", ": \"c2VjcmV0\""), None),
            (String::new(), None),
        ] {
            let error = Ring::from_text(&Secret::new(text)).unwrap_err();
            assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
            match expected {
                Some(expected) => assert_eq!(error, expected),
                None => assert!(matches!(error, RingError::Text { .. }), "{error}"),
            }
        }
    }
}
