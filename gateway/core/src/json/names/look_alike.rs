//! Member names that a lenient reader treats as equal.
//!
//! Some JSON readers match names without case, with Unicode case rules (`ſ` is an `s`, the Kelvin sign is a `k`), or end them at
//! a NUL. If the upstream has such a reader, it reads another call than the gateway in `{"method":…,"Method":…}`
//! (CVE-2026-27896, GHSA-q382-vc8q-7jhj). [`json::check`] already refuses exact repetitions.
//!
//! [`json::check`]: crate::json::check()

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, hash_map::Entry};

use crate::json::object::Object;
use crate::json::outline::OutlineValue;

/// Whether two members of `object` look alike, or one looks like a name in `known` without being equal.
pub(crate) fn ambiguous(object: &Object<'_>, known: &[&str]) -> bool {
    ambiguous_names(object.iter().map(|(name, _)| name), known)
}

/// The same for an object of which only the names are available.
pub(crate) fn ambiguous_names<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    known: &[&str],
) -> bool {
    are_ambiguous(names.clone(), known, || names.clone().all(is_simple))
}

/// The same for an object of an outline.
pub(crate) fn ambiguous_members(object: OutlineValue<'_, '_>, known: &[&str]) -> bool {
    are_ambiguous(object.names(), known, || has_simple_names(object))
}

/// Whether a member of `object`, of which no two look alike, looks like a name in `known` without being equal.
pub(crate) fn any_like(object: OutlineValue<'_, '_>, known: &[&str]) -> bool {
    match has_simple_names(object) {
        true => object.names().any(|name| is_like(name, known)),
        false => folded_ambiguous(object.names(), known),
    }
}

fn has_simple_names(object: OutlineValue<'_, '_>) -> bool {
    object.has_simple_names() || object.names().all(is_simple)
}

fn are_ambiguous<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    known: &[&str],
    are_simple: impl FnOnce() -> bool,
) -> bool {
    let mut few = [""; FEW];
    match fill(&mut few, names.clone()) {
        Some(names) if are_simple() => names.iter().enumerate().any(|(at, name)| {
            let mut before = names.iter().take(at);
            before.any(|other| simple_alike(other, name)) || is_like(name, known)
        }),
        _ => folded_ambiguous(names, known),
    }
}

/// Puts names into `few`, and returns them if there is room for all.
fn fill<'n, 'a>(
    few: &'n mut [&'a str; FEW],
    names: impl Iterator<Item = &'a str>,
) -> Option<&'n [&'a str]> {
    let mut count = 0;
    for name in names {
        *few.get_mut(count)? = name;
        count += 1;
    }
    few.get(..count)
}

/// Names of many objects, folded once, for many comparisons with known names.
#[derive(Debug, Default)]
pub(crate) struct Spellings {
    by_fold: HashMap<Box<str>, Folded>,
    /// Two members of one object look alike.
    are_ambiguous: bool,
}

/// The names that look like one another.
#[derive(Debug)]
struct Folded {
    /// The first of them, if it is not their form.
    first: Option<Box<str>>,
    /// Whether there is another one.
    has_others: bool,
    /// The object of the first one.
    object: usize,
    /// How many forms were found before.
    number: usize,
}

impl Folded {
    /// The first of the names that have this form.
    fn first<'a>(&'a self, folded: &'a str) -> &'a str {
        self.first.as_deref().unwrap_or(folded)
    }
}

impl Spellings {
    /// From names, each with the number of its object.
    pub(crate) fn of<'a>(names: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let mut spellings = Self {
            by_fold: HashMap::with_capacity(names.size_hint().0),
            are_ambiguous: false,
        };
        // Where names that look alike were found, beginning with the second object.
        let mut seen = HashSet::new();
        let mut left = MAX_FOLDED;
        for (object, name) in names {
            if !spend(&mut left, name) {
                spellings.are_ambiguous = true;
                break;
            }
            let folded: Box<str> = fold_cheaply(name).into();
            let number = spellings.by_fold.len();
            match spellings.by_fold.entry(folded) {
                Entry::Occupied(mut alike) => {
                    let is_first = alike.get().first(alike.key()) == name;
                    let alike = alike.get_mut();
                    alike.has_others |= !is_first;
                    spellings.are_ambiguous |=
                        alike.object == object || !seen.insert((object, alike.number));
                }
                Entry::Vacant(place) => {
                    let first = (**place.key() != *name).then(|| name.into());
                    place.insert(Folded {
                        first,
                        has_others: false,
                        object,
                        number,
                    });
                }
            }
        }
        spellings
    }

    /// Whether two members of one object look alike, or any member looks like a name in `known` without being equal.
    pub(crate) fn ambiguous(&self, known: &[&str]) -> bool {
        let looks_like = |known: &&str| {
            let own = self.by_fold.get_key_value(&*fold_cheaply(known));
            own.is_some_and(|(folded, own)| own.has_others || *own.first(folded) != **known)
        };
        self.are_ambiguous || known.iter().any(looks_like)
    }
}

/// As [`fold`]; nearly every name is its own form, and is not copied.
fn fold_cheaply(name: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && byte != 0 && !byte.is_ascii_uppercase();
    match name.bytes().all(is_folded) {
        true => Cow::Borrowed(name),
        false if is_simple(name) => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Owned(fold(name)),
    }
}

/// Names other than ASCII that are folded, in bytes of all of one message: folding takes about 100 steps for a byte. Longer ones
/// count as ambiguous.
const MAX_FOLDED: usize = 64 * 1024;

/// Up to this many names are compared pair by pair. For more names a set is faster.
const FEW: usize = 16;

/// Takes the bytes of a name that is not simple from those that are left; false if too few are left.
fn spend(left: &mut usize, name: &str) -> bool {
    if is_simple(name) {
        return true;
    }
    let rest = left.checked_sub(name.len());
    *left = rest.unwrap_or_default();
    rest.is_some()
}

/// Whether a name is ASCII without NUL. Of such names, only the letters A to Z have a look-alike: the same letter in the other case.
fn is_simple(name: &str) -> bool {
    // Only NUL and bytes beyond ASCII have the highest bit here. No early exit: names are short.
    let highest = name
        .bytes()
        .fold(0, |bits, byte| bits | byte | byte.wrapping_sub(1));
    highest < 0x80
}

/// Whether a simple name looks like one in `known` without being equal.
fn is_like(name: &str, known: &[&str]) -> bool {
    let mut known = known.iter();
    known.any(|known| begin_alike(known, name) && *known != name && simple_alike(known, name))
}

/// Whether two simple names are equal but for case.
fn simple_alike(one: &str, other: &str) -> bool {
    begin_alike(one, other) && one.eq_ignore_ascii_case(other)
}

/// Whether two names have the same length, and first bytes that can be the same letter. Nearly all that do not look alike differ there.
fn begin_alike(one: &str, other: &str) -> bool {
    const CASE: u8 = b'a' ^ b'A';
    let first = |name: &str| name.bytes().next().unwrap_or_default() | CASE;
    one.len() == other.len() && first(one) == first(other)
}

fn folded_ambiguous<'a>(mut names: impl Iterator<Item = &'a str>, known: &[&str]) -> bool {
    let known: Vec<(&str, String)> = known.iter().map(|known| (*known, fold(known))).collect();
    let mut seen = HashSet::new();
    let mut left = MAX_FOLDED;
    names.any(|name| {
        if !spend(&mut left, name) {
            return true;
        }
        let folded = fold_cheaply(name).into_owned();
        known
            .iter()
            .any(|(known, folded_known)| *known != name && *folded_known == folded)
            || !seen.insert(folded)
    })
}

/// The form in which look-alikes are equal: NULs at the ends removed, text after an inner NUL removed, full case folding.
///
/// Lower, upper and lower case again bring every letter to the end of its case mappings. The dot in the lower case of `İ` is
/// removed, because readers that map single characters read a plain `i`.
fn fold(name: &str) -> String {
    let name = name.trim_start_matches('\0');
    let name = name.split('\0').next().unwrap_or(name);
    name.chars()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(|character| *character != '\u{307}')
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn is_ambiguous(document: &str) -> bool {
        let known = ["task", "skip", "id"];
        let outline = json::outline(document.as_bytes(), &json::JsonLimits::default(), 1);
        let found = ambiguous(&json::object(document.as_bytes()).unwrap(), &known);
        assert_eq!(
            ambiguous_members(outline.unwrap().root(), &known),
            found,
            "{document}"
        );
        found
    }

    #[test]
    fn names_that_look_alike_are_ambiguous() {
        let cases = [
            ("case", r#"{"name":1,"Name":2}"#),
            ("NUL behind", r#"{"name":1,"name\u0000":2}"#),
            ("NUL in front", r#"{"name":1,"\u0000name":2}"#),
            ("what follows a NUL", r#"{"name":1,"name\u0000x":2}"#),
            ("nothing but a NUL", r#"{"":1,"\u0000":2}"#),
            ("case and NUL", r#"{"name":1,"NAME\u0000\u0000":2}"#),
            ("long s", r#"{"params":1,"paramſ":2}"#),
            ("long s, escaped", r#"{"params":1,"param\u017f":2}"#),
            ("Kelvin", r#"{"token":1,"to\u212Aen":2}"#),
            ("dotless i", r#"{"uri":1,"ur\u0131":2}"#),
            ("dotted I", r#"{"uri":1,"ur\u0130":2}"#),
            ("sharp s", r#"{"class":1,"cla\u00df":2}"#),
            ("capital sharp s", r#"{"class":1,"cla\u1e9e":2}"#),
            ("ligature", r#"{"field":1,"\ufb01eld":2}"#),
            ("Angstrom", r#"{"å":1,"\u212b":2}"#),
            ("final sigma", r#"{"ς":1,"σ":2}"#),
            ("like a known one, alone", r#"{"Task":1}"#),
            ("like a known one, by Kelvin", r#"{"s\u212aip":1}"#),
            ("like a known one, by NUL", r#"{"id\u0000":1}"#),
        ];
        for (name, document) in cases {
            assert!(is_ambiguous(document), "{name}");
        }
    }

    #[test]
    fn names_that_do_not_look_alike_are_not_ambiguous() {
        let cases = [
            r#"{}"#,
            r#"{"task":1,"skip":2,"id":3}"#,
            r#"{"name":1,"names":2,"_name":3,"name ":4,"na me":5}"#,
            r#"{"name":1,"nаme":2}"#, // Cyrillic а: no reader treats it as the Latin one
            r#"{"é":1,"e":2}"#,
            r#"{"ſhort":1,"long":2}"#,
        ];
        for document in cases {
            assert!(!is_ambiguous(document), "{document}");
        }
    }

    #[test]
    fn names_that_look_like_known_ones_are_found() {
        let like = |document: &str| {
            let limits = json::JsonLimits::default();
            let outline = json::outline(document.as_bytes(), &limits, 1).unwrap();
            any_like(outline.root(), &["task", "skip"])
        };
        for document in [
            r#"{"a":1,"Task":2}"#,
            r#"{"tas\u212a":1}"#,
            r#"{"task":1,"\u017fkip":2}"#,
            r#"{"task\u0000":1}"#,
        ] {
            assert!(like(document), "{document}");
        }
        for document in ["{}", r#"{"task":1,"skip":2,"b":3,"B":4}"#, r#"{"täsk":1}"#] {
            assert!(!like(document), "{document}");
        }
    }

    #[test]
    fn only_ascii_without_nul_is_simple() {
        for byte in 0..=0x7f_u8 {
            let name = format!("name{}x", char::from(byte));
            assert_eq!(is_simple(&name), byte != 0, "{byte}");
        }
        for name in ["é", "a\u{80}", "ſ", "\u{212a}", "😀", "\0"] {
            assert!(!is_simple(name), "{name}");
        }
        assert!(is_simple(""));
    }

    #[test]
    fn look_alikes_are_found_among_many() {
        for count in [FEW - 2, FEW, 100] {
            let members: Vec<String> = (0..count).map(|n| format!("\"member{n}\":0")).collect();
            let members = members.join(",");
            assert!(!is_ambiguous(&format!("{{{members}}}")), "{count}");
            assert!(
                is_ambiguous(&format!("{{{members},\"MEMBER1\":0}}")),
                "{count}"
            );
            assert!(
                is_ambiguous(&format!("{{{members},\"TASK\":0}}")),
                "{count}"
            );
        }
    }

    #[test]
    fn long_names_that_must_be_folded_are_ambiguous() {
        let document =
            |bytes: usize| format!(r#"{{"{}":1,"name":2}}"#, "\u{390}".repeat(bytes / 2));
        assert!(!is_ambiguous(&document(MAX_FOLDED)));
        assert!(is_ambiguous(&document(MAX_FOLDED + 2)));
        let (fits, long) = (
            "\u{390}".repeat(MAX_FOLDED / 2),
            "\u{390}".repeat(MAX_FOLDED / 2 + 1),
        );
        let spellings = |name: &str| Spellings::of([(0, name)].into_iter()).ambiguous(&[]);
        assert_eq!((spellings(&fits), spellings(&long)), (false, true));
    }
}
