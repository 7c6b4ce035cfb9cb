//! Tokens that were refused a moment ago: presented again, they are refused without a question.

use std::{fmt, time::Instant};

use mcp_gateway_core::refusal::{Refusal, reason::Reason};
use quick_cache::sync::Cache;

use crate::verify::cache::TokenDigest;

/// The most tokens that are remembered for one resource.
const MAX_TOKENS: usize = 10_000;

/// What the operator reads about a token that was refused before.
const DETAIL: &str =
    "the issuer was asked about this token a moment ago (issuers.*.introspection.negative_cache)";

/// Tokens that were refused, and until when that holds.
pub(super) struct NoList(Cache<TokenDigest, (Instant, Reason)>);

impl fmt::Debug for NoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoList({})", self.0.len())
    }
}

impl Default for NoList {
    fn default() -> Self {
        Self(Cache::new(MAX_TOKENS))
    }
}

impl NoList {
    /// The refusal of this token that still holds.
    pub(super) fn get(&self, digest: &TokenDigest, now: Instant) -> Option<Refusal> {
        let (until, reason) = self.0.get(digest)?;
        if now >= until {
            self.0.remove(digest);
            return None;
        }
        Some(Refusal {
            detail: Some(DETAIL.into()),
            ..reason.into()
        })
    }

    /// Remembers that a token was refused; not of one that is not valid yet, which may be so in a moment.
    pub(super) fn insert(&self, digest: TokenDigest, until: Instant, reason: Reason) {
        if reason != Reason::NotYetValid {
            self.0.insert(digest, (until, reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_no_holds_for_a_time_and_there_is_room_for_some_only() {
        let (list, now) = (NoList::default(), Instant::now());
        let until = now + Duration::from_secs(10);
        list.insert([1; 32], until, Reason::WrongAudience);
        let before = until - Duration::from_millis(1);
        assert_eq!(
            list.get(&[1; 32], before).unwrap().reason,
            Reason::WrongAudience
        );
        assert_eq!(list.get(&[2; 32], now), None);
        assert_eq!(list.get(&[1; 32], until), None);
        list.insert([1; 32], until, Reason::NotYetValid);
        assert_eq!(list.get(&[1; 32], now), None);
        for number in 0..3 * u32::try_from(MAX_TOKENS).unwrap() {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            list.insert(digest, until, Reason::TokenInactive);
        }
        assert!(list.0.len() <= MAX_TOKENS);
    }
}
