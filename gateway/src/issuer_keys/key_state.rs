//! The keys of an issuer at one moment, and whether they may be used.

use std::time::{Duration, Instant};

use mcp_gateway_core::token::key_set::KeySet;

/// The keys of an issuer at one moment. Never changed, only replaced.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    keys: KeySet,
    /// Increases whenever a key was removed or changed. Verifications of an older generation are void.
    generation: u64,
    /// When these keys were last fetched from the issuer.
    confirmed: Option<Instant>,
    /// When that fetch began.
    begun: Option<Instant>,
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

    /// When these keys were last fetched from the issuer; none before the first successful fetch.
    pub(super) const fn confirmed(&self) -> Option<Instant> {
        self.confirmed
    }

    /// Whether these keys were fetched after `moment`: a key that they lack was not published then.
    pub(crate) fn is_fetched_after(&self, moment: Instant) -> bool {
        self.begun.is_some_and(|begun| begun >= moment)
    }

    /// Whether there are keys, and they were fetched within `stale`.
    pub(super) fn is_usable(&self, stale: Duration) -> bool {
        let is_fresh = |confirmed: Instant| confirmed.elapsed() <= stale;
        self.confirmed.is_some_and(is_fresh) && !self.keys.is_empty()
    }

    /// The next state, with `keys` of a fetch that began at `begun` and ended now.
    pub(super) fn next(&self, keys: KeySet, begun: Instant) -> Self {
        let is_voided = self.keys.removes_or_alters(&keys);
        Self {
            keys,
            generation: self.generation + u64::from(is_voided),
            confirmed: Some(Instant::now()),
            begun: Some(begun),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A set of keys with these ids.
    fn keys(ids: &[&str]) -> KeySet {
        let key = |id: &&str| {
            serde_json::json!({
                "kty": "EC", "crv": "P-256", "use": "sig", "kid": id,
                "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            })
        };
        let set = serde_json::json!({ "keys": ids.iter().map(key).collect::<Vec<_>>() });
        let parsed = KeySet::parse(set.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.keys.len(), ids.len());
        parsed.keys
    }

    #[test]
    fn before_the_first_fetch_there_is_no_usable_key() {
        let state = KeyState::default();
        assert!(!state.is_usable(HOUR) && state.keys().is_empty());
        assert_eq!((state.confirmed(), state.generation()), (None, 0));
    }

    #[test]
    fn keys_are_used_until_they_are_stale() {
        let state = KeyState::default().next(keys(&["1"]), Instant::now());
        assert!(state.is_usable(HOUR));
        std::thread::sleep(Duration::from_millis(2));
        assert!(!state.is_usable(Duration::from_millis(1)));
        let confirmed = state.next(keys(&["1"]), Instant::now());
        assert!(confirmed.confirmed() > state.confirmed());
    }

    #[test]
    fn only_a_fetch_that_began_later_shows_that_a_key_is_not_published() {
        let before = Instant::now();
        assert!(!KeyState::default().is_fetched_after(before));
        let begun = before + Duration::from_millis(1);
        let state = KeyState::default().next(keys(&["1"]), begun);
        assert!(state.is_fetched_after(before) && state.is_fetched_after(begun));
        // The request arrived while the fetch was under way.
        assert!(!state.is_fetched_after(begun + Duration::from_nanos(1)));
    }

    #[test]
    fn a_fresh_set_without_keys_cannot_be_used() {
        let state = KeyState::default()
            .next(keys(&["1"]), Instant::now())
            .next(KeySet::default(), Instant::now());
        assert!(state.confirmed().is_some() && !state.is_usable(HOUR));
    }

    #[test]
    fn only_a_removed_key_voids_earlier_verifications() {
        let mut state = KeyState::default();
        for (ids, generation) in [
            (&["1"][..], 0),
            (&["1"], 0),
            (&["1", "2"], 0),
            (&["2", "1"], 0),
            (&["2"], 1),
            (&["3"], 2),
            (&[], 3),
            (&["3"], 3),
        ] {
            state = state.next(keys(ids), Instant::now());
            assert_eq!(state.generation(), generation, "{ids:?}");
            assert_eq!(state.keys().len(), ids.len());
        }
    }
}
