//! Exact names and globs: what a rule's `name` and a text argument are compared with.
//!
//! Two wildcards and nothing else: `*` is any run of characters without a slash, `**` is any run of characters. There are no
//! classes, alternatives or escapes, so brackets in a name are ordinary characters.

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN_BYTES: usize = 256;

/// An exact name, or a pattern for several names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    parts: Vec<Part>,
    is_exact: bool,
}

/// Why a text is not a [`Pattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Over [`MAX_PATTERN_BYTES`].
    #[error("is longer than {MAX_PATTERN_BYTES} bytes")]
    TooLong,
    /// Three or more `*` in a row: their meaning would be unclear.
    #[error("has more than two * in a row")]
    Stars,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// `*`
    Segment,
    /// `**`
    Any,
}

impl Pattern {
    /// Reads a pattern. A text without `*` is an exact name.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong);
        }
        if text.contains("***") {
            return Err(PatternError::Stars);
        }
        Ok(Self {
            text: text.into(),
            parts: parts(text),
            is_exact: !text.contains('*'),
        })
    }

    /// The same pattern in another spelling, with the same wildcards; `None` if the spelling has others.
    pub(crate) fn spelled(&self, spelling: &str) -> Option<Self> {
        let parts = match self.is_exact {
            true => vec![Part::Text(spelling.into())],
            false => parts(spelling),
        };
        let wildcards = |parts: &[Part]| -> Vec<bool> {
            let wild = parts.iter().filter(|part| !matches!(part, Part::Text(_)));
            wild.map(|part| *part == Part::Any).collect()
        };
        (wildcards(&parts) == wildcards(&self.parts)).then(|| Self {
            text: spelling.into(),
            parts,
            is_exact: self.is_exact,
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches one name only.
    pub const fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// Whether `name` matches this pattern.
    ///
    /// The time is bounded by the product of both lengths; names have at most 8 KiB (see `mcp::envelope`).
    pub fn matches(&self, name: &str) -> bool {
        if self.is_exact {
            return *self.text == *name;
        }
        use Part::Text;
        match &*self.parts {
            [wild] => wild.passes(name.as_bytes()),
            [Text(start), wild] => around(name, start, "", wild),
            [wild, Text(end)] => around(name, "", end, wild),
            [Text(start), wild, Text(end)] => around(name, start, end, wild),
            [Text(start), ..] if !name.starts_with(&**start) => false,
            parts => has_texts_in_order(parts, name) && matches_parts(parts, name),
        }
    }
}

impl Part {
    /// Whether this wildcard matches all of `text`.
    fn passes(&self, text: &[u8]) -> bool {
        match self {
            Self::Text(own) => own.as_bytes() == text,
            Self::Segment => !text.contains(&b'/'),
            Self::Any => true,
        }
    }
}

/// One wildcard between two texts: the form of nearly every glob.
fn around(name: &str, start: &str, end: &str, wild: &Part) -> bool {
    let middle = name.len().checked_sub(end.len());
    let middle = middle.and_then(|until| name.as_bytes().get(start.len()..until));
    middle.is_some_and(|middle| {
        // From the end, byte by byte: other names differ in the first few, where a call to compare all costs ten times as much.
        let ends = name
            .bytes()
            .rev()
            .zip(end.bytes().rev())
            .all(|(a, b)| a == b);
        ends && name.starts_with(start) && wild.passes(middle)
    })
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let literal = rest.find('*').unwrap_or(rest.len());
        let (text, stars) = rest.split_at(literal);
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        rest = stars;
        if let Some(behind) = rest.strip_prefix("**") {
            parts.push(Part::Any);
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('*') {
            parts.push(Part::Segment);
            rest = behind;
        }
    }
    parts
}

/// A quick test at which nearly every other name fails.
fn has_texts_in_order(parts: &[Part], name: &str) -> bool {
    let mut rest = name.as_bytes();
    parts.iter().all(|part| match part {
        Part::Text(text) => behind(rest, text.as_bytes()).is_some_and(|behind| {
            rest = behind;
            true
        }),
        Part::Segment | Part::Any => true,
    })
}

/// What follows the first `text`. Both are short: a searcher would cost more than it saves.
fn behind<'a>(name: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    let at = name.windows(text.len()).position(|part| part == text)?;
    name.get(at + text.len()..)
}

/// For each place in `name`, whether the parts so far can end there: no backtracking, so no pattern is slow.
fn matches_parts(parts: &[Part], name: &str) -> bool {
    let name = name.as_bytes();
    let mut ends = vec![false; name.len() + 1];
    if let Some(start) = ends.first_mut() {
        *start = true;
    }
    for part in parts {
        ends = match part {
            Part::Text(text) => behind_text(&ends, name, text.as_bytes()),
            Part::Segment => spread(&ends, name, |byte| byte != b'/'),
            Part::Any => spread(&ends, name, |_| true),
        };
    }
    ends.last() == Some(&true)
}

fn behind_text(ends: &[bool], name: &[u8], text: &[u8]) -> Vec<bool> {
    let mut next = vec![false; ends.len()];
    let starts = ends.iter().enumerate().filter(|(_, end)| **end);
    for (at, _) in starts {
        if name.get(at..).is_some_and(|rest| rest.starts_with(text))
            && let Some(end) = next.get_mut(at + text.len())
        {
            *end = true;
        }
    }
    next
}

fn spread(ends: &[bool], name: &[u8], passes: impl Fn(u8) -> bool) -> Vec<bool> {
    let mut open = false;
    let before = std::iter::once(None).chain(name.iter().copied().map(Some));
    ends.iter()
        .zip(before)
        .map(|(end, byte)| {
            open = *end || (open && byte.is_some_and(&passes));
            open
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn an_exact_name_is_itself_alone() {
        assert!(matches("create", "create"));
        for name in ["Create", "create2", "creat", "", "create ", "cre\u{0430}te"] {
            assert!(!matches("create", name), "{name}");
        }
        assert!(matches("a[b]?{c,d}", "a[b]?{c,d}"));
        assert!(!matches("a?", "ab") && !matches("[a]", "a"));
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        for (pattern, name, expected) in [
            ("create_*", "create_task", true),
            ("create_*", "create_", true),
            ("create_*", "create", false),
            ("create_*", "xcreate_task", false),
            ("*_task", "create_task", true),
            ("*_task", "create_tasks", false),
            ("*", "anything", true),
            ("*", "", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("**", "", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("a*b", "ab/b", false),
            ("a**b", "ab/b", true),
            ("file:///docs/*", "file:///docs/a.md", true),
            ("file:///docs/*", "file:///docs/a/b.md", false),
            ("file:///docs/**", "file:///docs/a/b.md", true),
            ("file:///docs/**", "file:///docsx/a", false),
            ("**/secret/*", "x://a/b/secret/c", true),
            ("**/secret/*", "x://a/b/secret/c/d", false),
            ("**/*.md", "a/b.md", true),
            ("a/**/c", "a/c", false),
            ("a/**/c", "a/b/c", true),
            ("*ß*", "größe", true),
            ("*ö", "ö", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_pattern_is_refused() {
        assert_eq!(Pattern::parse("a***"), Err(PatternError::Stars));
        let long = "a".repeat(MAX_PATTERN_BYTES);
        assert!(Pattern::parse(&long).is_ok());
        assert_eq!(
            Pattern::parse(&format!("{long}a")),
            Err(PatternError::TooLong)
        );
    }

    /// The definition, written as a recursion.
    fn slow(pattern: &str, name: &str) -> bool {
        if let Some(rest) = pattern.strip_prefix("**") {
            return name
                .char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| slow(rest, &name[at..]));
        }
        if let Some(rest) = pattern.strip_prefix('*') {
            let end = name.find('/').unwrap_or(name.len());
            return name[..end]
                .char_indices()
                .map(|(at, _)| at)
                .chain([end])
                .any(|at| slow(rest, &name[at..]));
        }
        match pattern.chars().next() {
            None => name.is_empty(),
            Some(first) => name
                .strip_prefix(first)
                .is_some_and(|rest| slow(&pattern[first.len_utf8()..], rest)),
        }
    }

    #[test]
    fn every_short_pattern_agrees_with_its_definition() {
        let words = |letters: &[&str], longest: u32| {
            let mut words = vec![String::new()];
            for _ in 0..longest {
                let longer: Vec<_> = words
                    .iter()
                    .flat_map(|word| letters.iter().map(move |letter| format!("{word}{letter}")))
                    .collect();
                words.extend(longer);
                words.sort_unstable();
                words.dedup();
            }
            words
        };
        let names = words(&["a", "b", "/"], 4);
        for pattern in words(&["a", "/", "*", "**"], 4) {
            if pattern.contains("***") {
                continue;
            }
            for name in &names {
                assert_eq!(
                    matches(&pattern, name),
                    slow(&pattern, name),
                    "{pattern} {name}"
                );
            }
        }
    }

    #[test]
    fn no_pattern_is_slow() {
        let pattern = Pattern::parse(&"**a*b".repeat(MAX_PATTERN_BYTES / 5)).unwrap();
        let name = "ab".repeat(4 * 1024);
        assert!(pattern.matches(&name));
        assert!(!pattern.matches(&format!("{name}a")));
    }
}
