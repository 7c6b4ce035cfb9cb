//! An outline: the values of a document down to a depth, each with its position, found in the same walk that checks the document.
//!
//! For edits that must leave the rest of a document unchanged, byte for byte.

use std::{borrow::Cow, ops::Range};

use super::check::{Observer, observe};
use super::limits::{JsonError, JsonLimits};
use super::text;

/// The most values of an outline. Each uses about fifty bytes of memory, even if it is a single byte in the document.
pub(super) const MAX_VALUES: usize = 250_000;

/// The values of a document that [`check`](super::check()) accepted, down to a depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    bytes: &'a [u8],
    /// In the order in which they begin.
    nodes: Vec<Node<'a>>,
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
    let recorder = Recorder {
        depth,
        nodes: Vec::new(),
        open: Vec::new(),
        name: None,
        is_full: false,
    };
    let Recorder { nodes, is_full, .. } = observe(bytes, limits, recorder)?;
    match is_full {
        true => Err(JsonError::TooManyValues),
        false => Ok(Outline { bytes, nodes }),
    }
}

impl<'a> Outline<'a> {
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
        self.outline.bytes.get(self.span()).unwrap_or_default()
    }

    /// The text of a string.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        text::string(self.raw())
    }

    /// Whether this is an object.
    pub fn is_object(&self) -> bool {
        self.raw().first() == Some(&b'{')
    }

    /// Whether this is an array.
    pub fn is_array(&self) -> bool {
        self.raw().first() == Some(&b'[')
    }

    /// The members of an object, in order. Empty for other values, and below the outline's depth.
    pub fn members(&self) -> impl Iterator<Item = (&'o str, Self)> + Clone + use<'o, 'a> {
        let outline = self.outline;
        self.inner().filter_map(move |value| {
            let name = outline.node(value.index)?.name.as_deref()?;
            Some((name, value))
        })
    }

    /// The member with this name.
    pub fn get(&self, name: &str) -> Option<Self> {
        let mut members = self.members();
        members.find_map(|(own, value)| (own == name).then_some(value))
    }

    /// The elements of an array, in order. Empty for other values, and below the outline's depth.
    pub fn elements(&self) -> impl Iterator<Item = Self> + Clone + use<'o, 'a> {
        let inner = self.is_array().then(|| self.inner());
        inner.into_iter().flatten()
    }

    fn inner(&self) -> impl Iterator<Item = Self> + Clone + use<'o, 'a> {
        let outline = self.outline;
        let behind = outline.node(self.index).map_or(0, |node| node.behind);
        let from = move |index: usize| (index < behind).then_some(index);
        let indices = std::iter::successors(from(self.index + 1), move |index| {
            outline.node(*index).and_then(|node| from(node.behind))
        });
        indices.map(move |index| Self { outline, index })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node<'a> {
    /// `None` for an element and for the root.
    name: Option<Cow<'a, str>>,
    start: usize,
    end: usize,
    /// The index of the first value after this one that is not inside it.
    behind: usize,
}

struct Recorder<'a> {
    depth: usize,
    nodes: Vec<Node<'a>>,
    /// The indices of the open values.
    open: Vec<usize>,
    /// The name of the next value.
    name: Option<Cow<'a, str>>,
    /// There are more values than the limit.
    is_full: bool,
}

impl<'a> Observer<'a> for Recorder<'a> {
    fn wants_names(&self, depth: usize) -> bool {
        depth <= self.depth
    }

    fn name(&mut self, name: Cow<'a, str>) {
        self.name = Some(name);
    }

    fn begin(&mut self, depth: usize, at: usize) {
        self.is_full |= depth <= self.depth && self.nodes.len() == MAX_VALUES;
        if depth <= self.depth && !self.is_full {
            self.open.push(self.nodes.len());
            self.nodes.push(Node {
                name: self.name.take(),
                start: at,
                end: at,
                behind: 0,
            });
        }
    }

    fn end(&mut self, depth: usize, at: usize) {
        if depth > self.depth {
            return;
        }
        let behind = self.nodes.len();
        let index = self.open.pop();
        if let Some(node) = index.and_then(|index| self.nodes.get_mut(index)) {
            (node.end, node.behind) = (at, behind);
        }
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
