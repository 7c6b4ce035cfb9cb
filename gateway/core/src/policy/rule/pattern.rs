//! Exact names and globs: what a rule's `name` and a text argument are compared with.
//!
//! Two wildcards and nothing else: `*` is any run of characters without a slash, `**` is any run of characters. There are no
//! classes, alternatives or escapes, so brackets in a name are ordinary characters.

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN_BYTES: usize = 256;

/// States of a pattern that are compared with one byte of a name at once.
const STATES_AT_ONCE: usize = 16;

/// Up to this length of a name, comparing place by place is faster than preparing a search.
const SHORT: usize = 64;

/// An exact name, or a pattern for several names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    parts: Vec<Part>,
    is_exact: bool,
    /// For patterns with a `*` among several wildcards.
    states: Option<States>,
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
        let parts = parts(text);
        Ok(Self {
            text: text.into(),
            is_exact: !text.contains('*'),
            states: states(&parts),
            parts,
        })
    }

    /// The same pattern in another spelling, with the same wildcards; `None` if the spelling has others.
    pub(crate) fn spelled(&self, spelling: &str) -> Option<Self> {
        let parts = match self.is_exact {
            true => vec![Part::Text(spelling.into())],
            false => parts(spelling),
        };
        let wildcards = |parts: &[Part]| -> Vec<bool> {
            let wild = parts.iter().filter(|part| part.is_wild());
            wild.map(|part| *part == Part::Any).collect()
        };
        (wildcards(&parts) == wildcards(&self.parts)).then(|| Self {
            text: spelling.into(),
            states: states(&parts),
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
    /// Without backtracking: [`steps`](Self::steps) bounds the time for any name.
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
            parts => match &self.states {
                None => has_texts_between(parts, name),
                Some(states) => has_texts_in_order(parts, name) && states.match_all(name),
            },
        }
    }

    /// The most steps that [`matches`](Self::matches) takes with a name of this length, in bytes. A step is the work for one
    /// byte of it; about a nanosecond.
    pub(crate) fn steps(&self, length: usize) -> usize {
        match (&self.states, self.is_exact()) {
            (_, true) => 1,
            (None, false) => length,
            (Some(states), false) => {
                length.saturating_mul(1 + states.texts.len().div_ceil(STATES_AT_ONCE))
            }
        }
    }
}

impl Part {
    const fn is_wild(&self) -> bool {
        !matches!(self, Self::Text(_))
    }

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

/// The automaton of a pattern that needs one.
fn states(parts: &[Part]) -> Option<States> {
    let wild = parts.iter().filter(|part| part.is_wild()).count();
    (wild > 1 && parts.contains(&Part::Segment)).then(|| States::of(parts))
}

/// Whether a name matches a pattern that has `**` as its only wildcard: each text is at its first place behind the one before
/// it, so one search along the name decides.
fn has_texts_between(parts: &[Part], name: &str) -> bool {
    let (parts, mut rest) = match parts {
        [Part::Text(start), parts @ ..] => match name.strip_prefix(&**start) {
            Some(rest) => (parts, rest),
            None => return false,
        },
        parts => (parts, name),
    };
    let parts = match parts {
        [parts @ .., Part::Text(end)] => match rest.strip_suffix(&**end) {
            Some(before) => {
                rest = before;
                parts
            }
            None => return false,
        },
        parts => parts,
    };
    has_texts_in_order(parts, rest)
}

/// Whether the texts of a pattern are in a name, one behind the other. Nearly every name that does not match fails here.
fn has_texts_in_order(parts: &[Part], name: &str) -> bool {
    let mut rest = name;
    parts.iter().all(|part| match part {
        Part::Text(text) => behind(rest, text).is_some_and(|behind| {
            rest = behind;
            true
        }),
        Part::Segment | Part::Any => true,
    })
}

/// What follows the first `text`.
fn behind<'a>(name: &'a str, text: &str) -> Option<&'a str> {
    let at = match name.len() <= SHORT {
        true => name
            .as_bytes()
            .windows(text.len())
            .position(|part| part == text.as_bytes()),
        // Two-way search: its time grows with the length of the name alone.
        false => name.find(text),
    };
    name.get(at? + text.len()..)
}

/// A pattern as an automaton. Its state is how many bytes of its texts have been matched; several states are possible at once.
/// One step moves all of them by one byte of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct States {
    /// The texts, one after the other.
    texts: Box<[u8]>,
    /// 1 where a wildcard in this state stays in it at a slash; one longer than the texts.
    stays_at_slash: Box<[u8]>,
    /// The same at any other byte.
    stays: Box<[u8]>,
}

impl States {
    fn of(parts: &[Part]) -> Self {
        let mut texts = Vec::new();
        let (mut stays_at_slash, mut stays) = (vec![0], vec![0]);
        for part in parts {
            match part {
                Part::Text(text) => {
                    texts.extend(text.bytes());
                    stays_at_slash.resize(texts.len() + 1, 0);
                    stays.resize(texts.len() + 1, 0);
                }
                Part::Segment | Part::Any => {
                    let any = u8::from(*part == Part::Any);
                    stays_at_slash
                        .last_mut()
                        .into_iter()
                        .for_each(|at| *at |= any);
                    stays.last_mut().into_iter().for_each(|at| *at = 1);
                }
            }
        }
        Self {
            texts: texts.into(),
            stays_at_slash: stays_at_slash.into(),
            stays: stays.into(),
        }
    }

    fn match_all(&self, name: &str) -> bool {
        let mut now = [0_u8; MAX_PATTERN_BYTES + 1];
        let mut next = now;
        now.iter_mut().take(1).for_each(|first| *first = 1);
        for byte in name.bytes() {
            self.step(byte, &now, &mut next);
            std::mem::swap(&mut now, &mut next);
        }
        now.get(self.texts.len()) == Some(&1)
    }

    /// Without branches in the loop: the compiler makes vector instructions of it.
    fn step(&self, byte: u8, now: &[u8], next: &mut [u8]) {
        let stays = match byte {
            b'/' => &self.stays_at_slash,
            _ => &self.stays,
        };
        let (Some(first), Some(first_stays), Some(first_now)) =
            (next.first_mut(), stays.first(), now.first())
        else {
            return;
        };
        *first = first_now & first_stays;
        let moved = now.iter().zip(&*self.texts);
        let stayed = now.iter().skip(1).zip(stays.iter().skip(1));
        let next = next.iter_mut().skip(1);
        for ((next, (before, text)), (own, stays)) in next.zip(moved).zip(stayed) {
            *next = (before & u8::from(*text == byte)) | (own & stays);
        }
    }
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

    #[test]
    fn a_long_name_matches_as_a_short_one_does() {
        for (pattern, name) in [
            ("**drop**table**", "drop table"),
            ("**drop**table", "table drop"),
            ("drop**drop", "drop"),
            ("a**b**a", "aba"),
            ("a**a", "a"),
            ("*a*b**c", "a b/c"),
            ("**a*b*c", "x/a/b/c"),
        ] {
            for (before, after) in [("", "x"), ("x", ""), ("/", "/"), ("", "")] {
                let pad = |text: &str| text.repeat(4 * SHORT);
                let name = format!("{}{name}{}", pad(before), pad(after));
                let matched = matches(pattern, &name);
                assert_eq!(matched, slow(pattern, &name), "{pattern} {name}");
            }
        }
    }
}
