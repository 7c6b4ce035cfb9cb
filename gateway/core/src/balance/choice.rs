//! The choice of an endpoint: the less loaded of two that are drawn at random by their weights.
//!
//! Two draws are enough to keep calls away from an endpoint that is slow, and leave the choice spread where many gateways choose
//! at the same time: all of them would send to the one least loaded endpoint (Mitzenmacher, *The Power of Two Choices in
//! Randomized Load Balancing*, 2001).

/// What the choice knows about an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its share of the calls, relative to the weights of the others. With 0 it gets none.
    pub weight: u32,
    /// The calls that it is at work on.
    pub calls: u32,
}

impl Load {
    /// Whether a call is better off here than at `other`. An endpoint without calls keeps the call that was drawn for it, so that
    /// calls one after the other are spread by the weights alone.
    fn is_better_than(self, other: Self) -> bool {
        let own = (u64::from(self.calls) + 1) * u64::from(other.weight);
        let others = (u64::from(other.calls) + 1) * u64::from(self.weight);
        self.calls == 0 || own <= others
    }
}

/// The endpoint that gets a call, if there is one. `seed` is a random number. Reads each candidate once, and allocates nothing.
pub fn less_loaded_of_two<T>(candidates: impl Iterator<Item = (T, Load)>, seed: u64) -> Option<T> {
    let mut numbers = Numbers(seed);
    let mut drawn: Option<(T, Load)> = None;
    let mut other: Option<(T, Load)> = None;
    let mut total = 0_u64;
    // Keeps two of the candidates read so far, as if they had been drawn from all of these without putting the first back.
    for candidate in candidates.filter(|(_, load)| load.weight > 0) {
        let weight = u64::from(candidate.1.weight);
        total += weight;
        let first = u64::from(drawn.as_ref().map_or(0, |(_, load)| load.weight));
        if numbers.hits(weight, total) {
            other = drawn.replace(candidate);
        } else if numbers.hits(weight, total - first) {
            other = Some(candidate);
        }
    }
    let (drawn, load) = drawn?;
    match other {
        Some((other, others)) if !load.is_better_than(others) => Some(other),
        _ => Some(drawn),
    }
}

/// Random numbers that follow from one (SplitMix64: Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
struct Numbers(u64);

impl Numbers {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// True in `part` of `whole` cases.
    fn hits(&mut self, part: u64, whole: u64) -> bool {
        (u128::from(self.next()) * u128::from(whole)) >> 64 < u128::from(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(weight: u32, calls: u32) -> Load {
        Load { weight, calls }
    }

    /// How many of 10,000 calls each endpoint gets, in percent.
    fn shares(loads: &[Load]) -> Vec<u32> {
        let mut counts = vec![0; loads.len()];
        for seed in 0..10_000 {
            let candidates = loads.iter().copied().enumerate();
            counts[less_loaded_of_two(candidates, seed).unwrap()] += 1;
        }
        counts.iter().map(|count| (count + 50) / 100).collect()
    }

    #[track_caller]
    fn assert_near(found: &[u32], expected: &[u32]) {
        let is_near = |(found, expected): (&u32, &u32)| found.abs_diff(*expected) <= 2;
        let all = found.iter().zip(expected).all(is_near);
        assert!(
            all && found.len() == expected.len(),
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn without_endpoints_there_is_no_choice() {
        let none = std::iter::empty::<(u8, Load)>();
        assert_eq!(less_loaded_of_two(none, 1), None);
        let weightless = std::iter::once(((), load(0, 0)));
        assert_eq!(less_loaded_of_two(weightless, 1), None);
    }

    #[test]
    fn endpoints_without_calls_get_the_shares_of_their_weights() {
        assert_near(&shares(&[load(1, 0); 4]), &[25; 4]);
        assert_near(&shares(&[load(3, 0), load(1, 0)]), &[75, 25]);
        assert_near(&shares(&[load(1, 0), load(0, 0), load(4, 0)]), &[20, 0, 80]);
        let mixed = [load(500, 0), load(300, 0), load(200, 0)];
        assert_near(&shares(&mixed), &[50, 30, 20]);
    }

    #[test]
    fn of_two_the_less_loaded_one_gets_the_call() {
        assert_eq!(shares(&[load(1, 5), load(1, 4)]), [0, 100]);
        assert_eq!(shares(&[load(1, 4), load(1, 5)]), [100, 0]);
        // Relative to the weights: 6 for 3 is less than 3 for 1.
        assert_eq!(shares(&[load(3, 5), load(1, 2)]), [100, 0]);
        assert_near(&shares(&[load(2, 3), load(1, 1)]), &[67, 33]);
    }

    #[test]
    fn the_most_loaded_one_of_all_gets_none() {
        let loads = [load(1, 3), load(1, 9), load(1, 3), load(1, 2)];
        let found = shares(&loads);
        assert_eq!(found[1], 0);
        assert!(found[3] > 45, "{found:?}");
    }

    #[test]
    fn calls_under_way_settle_at_the_weights() {
        let weights = [1, 2, 4, 1];
        let mut calls = [0_u32; 4];
        for seed in 0..800 {
            let loads = weights
                .iter()
                .zip(calls)
                .map(|(weight, calls)| load(*weight, calls));
            let chosen = less_loaded_of_two(loads.enumerate(), seed).unwrap();
            calls[chosen] += 1;
        }
        for (calls, weight) in calls.iter().zip(weights) {
            assert!(
                calls.abs_diff(100 * weight) <= 6,
                "{calls} with weight {weight}"
            );
        }
    }

    #[test]
    fn large_weights_and_counts_do_not_overflow() {
        let loads = [load(u32::MAX, u32::MAX); 100];
        assert!(less_loaded_of_two(loads.into_iter().enumerate(), 7).is_some());
    }
}
