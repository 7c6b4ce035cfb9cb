//! Tokens about which an endpoint gave an unusable answer. Each of them is not asked about again for a pause that grows; the questions about
//! all others go on, because a stranger can have tokens at which a healthy endpoint fails.
//!
//! Tokens are stored in two generations: where there are too many, the older half is removed, and asked about again.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::growing_pause;

/// The SHA-256 of a token.
pub type TokenDigest = [u8; 32];

/// Tokens that are stored for one endpoint; above that, the older half is removed.
pub const MAX_TOKENS: usize = 10_000;

/// The tokens that are not asked about now.
#[derive(Clone, Default)]
pub struct TokenPauses {
    young: HashMap<TokenDigest, TokenPause>,
    old: HashMap<TokenDigest, TokenPause>,
}

#[derive(Clone, Copy)]
struct TokenPause {
    failures: u32,
    until: Duration,
}

impl fmt::Debug for TokenPauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenPauses({})", self.tokens())
    }
}

impl TokenPauses {
    /// How long this token must not be asked about; `None` when it may be at once.
    pub fn wait(&self, token: &TokenDigest, now: Duration) -> Option<Duration> {
        let wait = self.of(token)?.until.saturating_sub(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// The endpoint gave an unusable answer about this token.
    pub fn failed(&mut self, token: &TokenDigest, now: Duration) {
        let failures = self.of(token).map_or(0, |known| known.failures);
        if self.young.len() >= MAX_TOKENS / 2 && !self.young.contains_key(token) {
            self.old = std::mem::take(&mut self.young);
        }
        let pause = TokenPause {
            failures: failures.saturating_add(1),
            until: now + growing_pause::after(failures),
        };
        self.young.insert(*token, pause);
    }

    /// How many tokens are stored.
    pub fn tokens(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn of(&self, token: &TokenDigest) -> Option<TokenPause> {
        let known = self.young.get(token).or_else(|| self.old.get(token));
        known.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn token(number: u32) -> TokenDigest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn the_pause_of_a_token_doubles_and_has_a_limit() {
        let (mut pauses, mut now) = (TokenPauses::default(), 9 * SECOND);
        assert_eq!(pauses.wait(&token(1), now), None);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            pauses.failed(&token(1), now);
            assert_eq!(pauses.wait(&token(1), now), Some(expected * SECOND));
            assert_eq!(pauses.wait(&token(2), now), None);
            now += growing_pause::LONGEST;
            assert_eq!(pauses.wait(&token(1), now), None);
        }
    }

    #[test]
    fn the_number_of_tokens_is_bounded_and_the_newest_stay() {
        let mut pauses = TokenPauses::default();
        let last = 5 * u32::try_from(MAX_TOKENS).unwrap();
        for number in 0..=last {
            pauses.failed(&token(number), SECOND);
            assert!(pauses.tokens() <= MAX_TOKENS);
        }
        assert!(pauses.wait(&token(last), SECOND).is_some());
        assert_eq!(pauses.wait(&token(0), SECOND), None);
        assert_eq!(format!("{pauses:?}").find("[0"), None);
    }
}
