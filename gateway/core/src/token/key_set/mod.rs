//! An issuer's key set (RFC 7517 §5). Each key is checked by itself: an unusable key is left out and reported, the others serve.

mod jwk;
mod public_key;
mod rejection;
mod served;

use std::sync::Arc;

use super::algorithm::Algorithm;
use super::jose::printable_key_id;
use crate::json::{self, JsonError, JsonLimits};
use crate::refusal::reason::Reason;
pub(crate) use jwk::Key;
pub use rejection::KeyRejection;

/// The most keys that are read of one set. Later ones are ignored.
const MAX_KEYS: usize = 100;

/// The keys of one issuer that may verify its tokens.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// What reading a key set gave.
#[derive(Clone, Debug)]
pub struct ParsedKeySet {
    /// The keys that can be used.
    pub keys: KeySet,
    /// The others.
    pub rejected: Vec<RejectedKey>,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedKey {
    /// Its id, escaped and truncated for a log.
    pub kid: Option<String>,
    /// Why it is not used.
    pub reason: KeyRejection,
}

/// Why a document is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not strict JSON, and why.
    #[error("invalid JSON: {}", JsonLimits::default().explain(*.0, json::FIXED))]
    Json(JsonError),
    /// Not an object with an array `keys`.
    #[error("expected a JSON object with an array `keys` (RFC 7517 §5)")]
    NotAKeySet,
}

impl KeySet {
    /// Reads a JSON Web Key Set, key by key.
    ///
    /// # Errors
    /// [`KeySetError`] if the document as a whole is not a key set.
    pub fn parse(bytes: &[u8]) -> Result<ParsedKeySet, KeySetError> {
        json::check(bytes, &JsonLimits::default()).map_err(KeySetError::Json)?;
        let set = json::object(bytes).map_err(|_| KeySetError::NotAKeySet)?;
        let list = set.get("keys").ok_or(KeySetError::NotAKeySet)?;
        let list = json::array(list).map_err(|_| KeySetError::NotAKeySet)?;
        let (mut keys, mut rejected) = (Vec::new(), Vec::new());
        for raw in list.iter().take(MAX_KEYS) {
            match Key::read(raw) {
                Ok(key) => keys.push(key),
                Err(reason) => rejected.push(reject(jwk::key_id(raw).as_deref(), reason)),
            }
        }
        if list.len() > MAX_KEYS {
            rejected.push(reject(None, KeyRejection::TooMany));
        }
        let keys = without_duplicates(keys, &mut rejected);
        Ok(ParsedKeySet {
            keys: Self { keys },
            rejected,
        })
    }

    /// Whether no key can be used.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys can be used.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// The ids of the keys that can be used; a key may have none.
    pub fn ids(&self) -> impl Iterator<Item = Option<&str>> + Clone {
        self.keys.iter().map(Key::id)
    }

    /// Whether both hold the same keys, in any order.
    pub fn same_keys(&self, other: &Self) -> bool {
        !self.removes_or_alters(other) && !other.removes_or_alters(self)
    }

    /// Whether the newer set lacks a key of this one, or has it changed: then tokens that this key verified must be verified again.
    pub fn removes_or_alters(&self, newer: &Self) -> bool {
        !self.keys.iter().all(|key| newer.keys.contains(key))
    }

    /// The one key that may verify a token with this header (RFC 7515 §6), of an issuer with these names.
    pub(crate) fn find(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
        issuers: &[Arc<str>],
    ) -> Result<&Key, Reason> {
        let named = || {
            self.keys
                .iter()
                .filter(|key| key_id.is_none() || key.id() == key_id)
        };
        let serving = || named().filter(|key| key.serves(algorithm));
        let mut matching = serving().filter(|key| key.is_of(issuers));
        match matching.next() {
            Some(first) if matching.all(|other| other.is_same_public_key(first)) => Ok(first),
            None if key_id.is_some() && serving().next().is_some() => Err(Reason::WrongKeyIssuer),
            None if key_id.is_some() && named().next().is_some() => Err(Reason::AlgKeyMismatch),
            _ => Err(Reason::UnknownKey),
        }
    }
}

fn reject(kid: Option<&str>, reason: KeyRejection) -> RejectedKey {
    RejectedKey {
        kid: kid.map(printable_key_id),
        reason,
    }
}

/// Identical keys count once. Different keys with one id that could verify the same token are all left out, because the set
/// does not say which of them is meant.
fn without_duplicates(keys: Vec<Key>, rejected: &mut Vec<RejectedKey>) -> Vec<Key> {
    let mut kept: Vec<Key> = Vec::new();
    for key in &keys {
        if keys.iter().any(|other| key.contradicts(other)) {
            rejected.push(reject(key.id(), KeyRejection::DuplicateKeyId));
        } else if !kept.contains(key) {
            kept.push(key.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
