//! The keys of an issuer at one moment, and whether they may still be used.

use std::time::{Duration, Instant};

use mcp_gateway_core::token::key_set::KeySet;

/// What is known of an issuer's keys at one moment. Never changed, only replaced.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    keys: KeySet,
    /// Counts up whenever a key was removed or altered: verifications by an older generation are void.
    generation: u64,
    /// When the issuer last confirmed these keys.
    confirmed: Option<Instant>,
}

impl KeyState {
    /// The keys.
    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The generation that a cached verification must match.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// When the issuer last confirmed these keys; nothing before the first fetch that succeeded.
    pub(super) const fn confirmed(&self) -> Option<Instant> {
        self.confirmed
    }

    /// Whether there are keys, and the issuer confirmed them within `stale`.
    pub(super) fn is_usable(&self, stale: Duration) -> bool {
        let is_fresh = |confirmed: Instant| confirmed.elapsed() <= stale;
        self.confirmed.is_some_and(is_fresh) && !self.keys.is_empty()
    }

    /// The state once the issuer has published `keys`, just now.
    pub(super) fn next(&self, keys: KeySet) -> Self {
        let is_voided = self.keys.removes_or_alters(&keys);
        Self {
            keys,
            generation: self.generation + u64::from(is_voided),
            confirmed: Some(Instant::now()),
        }
    }
}
