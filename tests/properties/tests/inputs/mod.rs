//! Inputs of properties that are made of the lines of a data file: the same on every run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

/// How many inputs are generated for each property.
const GENERATED: usize = 5_000;

/// Characters that parsers read in a way of their own.
const ODD: &str = "/\\:@?#%.;&=+*[] |'\"<>{}~0x127\u{fc}\u{ad}\u{ff53}\u{200b}\u{3002}\t\n\0";

/// The lines that are inputs.
pub(crate) fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    let is_text = |line: &&str| !line.is_empty() && !line.starts_with("# ");
    file.lines().filter(is_text)
}

/// Runs a property with the seeds, and with seeds of which some characters are removed, doubled or replaced.
pub(crate) fn generated(seeds: impl Iterator<Item = impl Into<String>>, property: fn(&[u8])) {
    let seeds: Vec<String> = seeds.map(Into::into).collect();
    for seed in &seeds {
        property(seed.as_bytes());
    }
    let odd: Vec<char> = ODD.chars().collect();
    let mut state = 13_u64;
    let mut below = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..GENERATED {
        let mut input: Vec<char> = seeds[below(seeds.len())].chars().collect();
        for _ in 0..below(4) {
            let at = below(input.len().max(1));
            match below(4) {
                _ if input.is_empty() => input.push(odd[below(odd.len())]),
                0 => drop(input.remove(at)),
                1 => input.insert(at, input[at]),
                2 => input.insert(at, odd[below(odd.len())]),
                _ => input[at] = odd[below(odd.len())],
            }
        }
        property(input.into_iter().collect::<String>().as_bytes());
    }
}
