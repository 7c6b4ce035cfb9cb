//! "Did you mean": the known name nearest to a mistyped one.

/// Edits (Damerau-Levenshtein with adjacent swaps) up to which two words are near, for words of 4 letters and more.
const MAX_EDITS: usize = 2;

/// Longest word that is compared.
const MAX_LENGTH: usize = 64;

/// The nearest of `known`, if any is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(MAX_LENGTH + 1).collect();
    if word.len() > MAX_LENGTH {
        return None;
    }
    let allowed = if word.len() < 4 { 1 } else { MAX_EDITS };
    let rated = known
        .into_iter()
        .map(|candidate| (edits(&word, candidate), candidate));
    rated
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, removed, changed or swapped with their neighbour.
fn edits(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.to_lowercase().chars().collect();
    let mut rows = [vec![], (0..=to.len()).collect::<Vec<_>>()];
    for (i, &a) in from.iter().enumerate() {
        let [before, last] = &rows;
        let mut row = vec![i + 1];
        for (j, &b) in to.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let change = get(last, j) + usize::from(a != b);
            let mut best = change.min(get(last, j + 1) + 1).min(get(&row, j) + 1);
            let swapped =
                i > 0 && j > 0 && from.get(i - 1) == Some(&b) && to.get(j - 1) == Some(&a);
            if swapped {
                best = best.min(get(before, j - 1) + 1);
            }
            row.push(best);
        }
        rows.swap(0, 1);
        let [_, last] = &mut rows;
        *last = row;
    }
    let [_, last] = &rows;
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found() {
        let known = ["listen", "limits", "issuers", "path", "log"];
        let cases = [
            ("lisen", Some("listen")),
            ("isuers", Some("issuers")),
            ("issuer", Some("issuers")),
            ("Listen", Some("listen")),
            ("limtis", Some("limits")),
            ("pth", Some("path")),
            ("lgo", Some("log")),
            ("listeners", None),
            ("zzz", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn very_long_words_are_not_compared() {
        assert_eq!(nearest(&"a".repeat(1_000_000), ["a"]), None);
    }
}
