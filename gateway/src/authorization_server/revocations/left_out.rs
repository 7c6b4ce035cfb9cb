//! Ended grants that have no place in the map: a Bloom filter. It never forgets one of them, and takes few others for one.
//!
//! Its size does not grow. With 8 million grants it takes less than one other grant in a million for an ended one, with 50 million one
//! in a thousand.

use std::hash::{BuildHasher, RandomState};

use mcp_gateway_core::token::evidence::grant::GrantId;

/// Bits of the filter: 128 MiB, which the system provides as they are used. A power of two.
const BITS: u64 = 1 << 30;

/// Bits of one grant.
const BITS_OF_ONE: u64 = 4;

/// Bits of one word.
const WORD: u64 = 64;

/// Grants without a place.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Empty while there are none.
    words: Vec<u64>,
    /// Nobody knows its keys, so nobody can find grants with the bits of others.
    digests: RandomState,
}

impl LeftOut {
    /// Adds a grant.
    pub(super) fn insert(&mut self, grant: &GrantId) {
        if self.words.is_empty() {
            self.words = vec![0; usize::try_from(BITS / WORD).unwrap_or(usize::MAX)];
        }
        for (word, bit) in places(self.digests.hash_one(grant)) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether it was added, or has the bits of others.
    pub(super) fn may_have(&self, grant: &GrantId) -> bool {
        let mut places = places(self.digests.hash_one(grant));
        places.all(|(word, bit)| self.words.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.words = Vec::new();
    }
}

/// The words and bits of a digest.
fn places(digest: u64) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (digest >> 32, digest | 1);
    (0..BITS_OF_ONE).map(move |number| {
        let bit = first.wrapping_add(number.wrapping_mul(step)) % BITS;
        let word = usize::try_from(bit / WORD).unwrap_or(usize::MAX);
        (word, 1 << (bit % WORD))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(number: usize) -> GrantId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        id
    }

    #[test]
    fn all_that_were_added_are_found_and_hardly_others() {
        const COUNT: usize = 100_000;
        let mut left_out = LeftOut::default();
        assert!(!left_out.may_have(&grant(0)) && left_out.words.is_empty());
        (0..COUNT).for_each(|number| left_out.insert(&grant(number)));
        assert!((0..COUNT).all(|number| left_out.may_have(&grant(number))));
        let others = (COUNT..11 * COUNT).filter(|&number| left_out.may_have(&grant(number)));
        // Two in ten thousand million are expected.
        assert!(others.count() <= 1);
        left_out.clear();
        assert!(!left_out.may_have(&grant(0)));
    }

    #[test]
    fn the_bits_of_a_grant_are_different_ones_within_the_filter() {
        for number in 0..10_000_u64 {
            let digest = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut found: Vec<_> = places(digest).collect();
            assert!(found.iter().all(|(word, _)| *word < 1 << 24));
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), 4, "{digest:x}");
        }
    }
}
