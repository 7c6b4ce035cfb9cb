//! An outline: the values of a document down to a depth, each with its position, found in the same walk that checks the document.
//!
//! For edits that must leave the rest of a document unchanged, byte for byte.

pub(super) mod recorder;

use std::{borrow::Cow, ops::Range};

use super::check::observe;
use super::limits::{JsonError, JsonLimits};
use super::text;
use recorder::{Node, Recorder};

/// The most values of an outline. Each uses about fifty bytes of memory, even if it is a single byte in the document.
pub(super) const MAX_VALUES: usize = 250_000;

/// How a member that is left out can be written.
const NULL: &str = "null";

/// Values of a document that [`check`](super::check()) accepted: those down to a depth, or those that
/// [`members`](super::members()) was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    document: &'a str,
    /// In the order in which they begin.
    nodes: Vec<Node<'a>>,
    /// All names are ASCII without NUL.
    are_names_simple: bool,
}

/// Checks a document as [`check`](super::check()) does and stores the values inside at most `depth` objects and arrays.
///
/// # Errors
/// What is wrong with the document; [`JsonError::TooManyValues`] for more than 250,000 such values.
pub fn outline<'a>(
    bytes: &'a [u8],
    limits: &JsonLimits,
    depth: usize,
) -> Result<Outline<'a>, JsonError> {
    let document = text::utf8(bytes)?;
    let recorder = Recorder::new(|around, _, _| around < depth, MAX_VALUES);
    let recorder = observe(document, limits, recorder)?;
    Outline::of(document, recorder).ok_or(JsonError::TooManyValues)
}

impl<'a> Outline<'a> {
    /// From what was recorded of a document; `None` if it has more values than the limit.
    pub(super) fn of<R>(document: &'a str, recorder: Recorder<'a, R>) -> Option<Self> {
        // Only with an escape, a name in such a document has other characters than those.
        let are_names_simple = !recorder.has_escaped_names && document.is_ascii();
        Some(Self {
            document,
            are_names_simple,
            nodes: recorder.nodes()?,
        })
    }

    /// The document's one value.
    pub const fn root(&self) -> OutlineValue<'_, 'a> {
        OutlineValue {
            outline: self,
            index: 0,
        }
    }

    fn node(&self, index: usize) -> Option<&Node<'a>> {
        self.nodes.get(index)
    }
}

/// One value of an outline.
#[derive(Clone, Copy, Debug)]
pub struct OutlineValue<'o, 'a> {
    outline: &'o Outline<'a>,
    index: usize,
}

impl<'o, 'a> OutlineValue<'o, 'a> {
    /// Its position in the document.
    pub fn span(&self) -> Range<usize> {
        self.outline
            .node(self.index)
            .map_or(0..0, |node| node.start..node.end)
    }

    /// Its bytes.
    pub fn raw(&self) -> &'a [u8] {
        self.json().as_bytes()
    }

    /// Its JSON text.
    pub fn json(&self) -> &'a str {
        self.outline.document.get(self.span()).unwrap_or_default()
    }

    /// The text of a string.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        text::unquote(self.json())
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        self.raw().first() == Some(&b'{')
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        self.raw().first() == Some(&b'[')
    }

    /// The members of an object, in order. Empty for other values, and where its values are not stored.
    pub fn members(&self) -> impl Iterator<Item = (&'o str, Self)> + Clone + use<'o, 'a> {
        let named = self.inner();
        named.filter_map(|(node, value)| Some((node.name.as_deref()?, value)))
    }

    /// The names of its members.
    pub fn names(&self) -> impl Iterator<Item = &'o str> + Clone + use<'o, 'a> {
        self.members().map(|(name, _)| name)
    }

    /// Whether all names in the document are ASCII without NUL. False does not mean that one is not.
    pub(crate) const fn has_simple_names(&self) -> bool {
        self.outline.are_names_simple
    }

    /// The first member with this name.
    pub fn get(&self, name: &str) -> Option<Self> {
        let mut members = self.members();
        members.find_map(|(own, value)| (own == name).then_some(value))
    }

    /// The first member with this name, for a member that is optional: null counts as absent.
    pub fn given(&self, name: &str) -> Option<Self> {
        self.get(name).filter(|value| value.json() != NULL)
    }

    /// The elements of an array, in order. Empty for other values, and where its values are not stored.
    pub fn elements(&self) -> impl Iterator<Item = Self> + Clone + use<'o, 'a> {
        let inner = self.is_array().then(|| self.inner());
        inner.into_iter().flatten().map(|(_, value)| value)
    }

    fn inner(&self) -> Inner<'o, 'a> {
        Inner {
            outline: self.outline,
            next: self.index + 1,
            behind: self.outline.node(self.index).map_or(0, |node| node.behind),
        }
    }
}

/// The values directly in a value, in order, with their nodes.
#[derive(Clone)]
struct Inner<'o, 'a> {
    outline: &'o Outline<'a>,
    next: usize,
    /// The index of the first value that is not in it.
    behind: usize,
}

impl<'o, 'a> Iterator for Inner<'o, 'a> {
    type Item = (&'o Node<'a>, OutlineValue<'o, 'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let index = (self.next < self.behind).then_some(self.next)?;
        let outline = self.outline;
        let node = outline.node(index)?;
        self.next = node.behind;
        Some((node, OutlineValue { outline, index }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        r#" { "a" : [ 1, "x\u0021", {"deep": [ ]} ] , "b\u0021":{}, "c": null } "#;

    fn of(document: &str, depth: usize) -> Outline<'_> {
        outline(document.as_bytes(), &JsonLimits::default(), depth).unwrap()
    }

    #[test]
    fn every_value_has_its_position() {
        let outline = of(DOCUMENT, 4);
        let root = outline.root();
        assert!(root.is_object() && !root.is_array());
        assert_eq!(root.raw(), DOCUMENT.trim().as_bytes());
        let members: Vec<(&str, &[u8])> = root
            .members()
            .map(|(name, value)| (name, value.raw()))
            .collect();
        let expected: [(&str, &[u8]); 3] = [
            ("a", br#"[ 1, "x\u0021", {"deep": [ ]} ]"#),
            ("b!", b"{}"),
            ("c", b"null"),
        ];
        assert_eq!(members, expected);
        let elements: Vec<_> = root.get("a").unwrap().elements().collect();
        assert_eq!(elements.len(), 3);
        assert_eq!(elements[1].text().as_deref(), Some("x!"));
        assert_eq!(elements[0].text(), None);
        assert_eq!(elements[2].get("deep").unwrap().raw(), b"[ ]");
        for value in elements {
            assert_eq!(&DOCUMENT.as_bytes()[value.span()], value.raw());
        }
    }

    #[test]
    fn another_kind_of_value_has_no_members_and_no_elements() {
        let outline = of(DOCUMENT, 4);
        let root = outline.root();
        assert_eq!(root.elements().count(), 0);
        assert_eq!(root.get("a").unwrap().members().count(), 0);
        assert_eq!(root.get("b!").unwrap().members().count(), 0);
        assert_eq!(root.get("c").unwrap().elements().count(), 0);
        assert!(root.get("d").is_none());
    }

    #[test]
    fn deeper_values_are_skipped() {
        let outline = of(DOCUMENT, 1);
        let names: Vec<_> = outline.root().members().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b!", "c"]);
        assert_eq!(outline.root().get("a").unwrap().elements().count(), 0);
        assert_eq!(of(DOCUMENT, 0).root().members().count(), 0);
    }

    #[test]
    fn the_limit_of_values_does_not_count_values_below_the_depth() {
        let outlined = |count: usize, depth| {
            let document = format!("[{}]", vec!["1"; count].join(","));
            let limits = JsonLimits {
                members: 2 * MAX_VALUES,
                ..JsonLimits::default()
            };
            outline(document.as_bytes(), &limits, depth)
                .map(|outline| outline.root().elements().count())
        };
        // The array counts as a value too.
        assert_eq!(outlined(MAX_VALUES - 1, 1), Ok(MAX_VALUES - 1));
        assert_eq!(outlined(MAX_VALUES, 1), Err(JsonError::TooManyValues));
        assert_eq!(outlined(MAX_VALUES, 0), Ok(0));
    }

    #[test]
    fn a_refused_document_has_no_outline() {
        for (document, error) in [
            (r#"{"a":1"#, JsonError::Syntax),
            (r#"{"a":1,"a":2}"#, JsonError::Duplicate),
            (r#"{"a":[{"b":1,"\u0062":2}]}"#, JsonError::Duplicate),
            (r#"{"\ud800":1}"#, JsonError::NameNotText),
            (r#"{} {}"#, JsonError::Syntax),
        ] {
            let refused = outline(document.as_bytes(), &JsonLimits::default(), 1);
            assert_eq!(refused.err(), Some(error), "{document}");
        }
    }
}
