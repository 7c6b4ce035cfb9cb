//! The names of all members of a document, at every depth, found in one walk.

pub mod look_alike;

use std::borrow::Cow;

use super::check::{Observer, observe};
use super::limits::{JsonError, JsonLimits};
use super::object::Object;
use super::text::utf8;

/// What one walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// The document's own members, if it is an object.
    pub object: Object<'a>,
    /// The name of every member, in order, each with the number of its object.
    pub all: Vec<(usize, Cow<'a, str>)>,
}

/// The members of a document that is an object, and the names of all members of all objects in it. For documents that
/// [`check`](super::check()) accepted.
///
/// # Errors
/// What is wrong with the document, except for repeated names.
pub fn names<'a>(bytes: &'a [u8], limits: &JsonLimits) -> Result<Names<'a>, JsonError> {
    let collector = Collector {
        bytes,
        found: Names::default(),
        own: None,
        open: Vec::new(),
        begun: 0,
    };
    Ok(observe(utf8(bytes)?, limits, collector)?.found)
}

struct Collector<'a> {
    bytes: &'a [u8],
    found: Names<'a>,
    /// The name of the document's member in which the walk is, and the position of its value.
    own: Option<(Cow<'a, str>, usize)>,
    /// The open values, by number. A name belongs to the last one.
    open: Vec<usize>,
    /// How many values have begun.
    begun: usize,
}

impl<'a> Observer<'a> for Collector<'a> {
    const IS_CHECKED: bool = true;

    fn wants_names(&self, _: usize) -> bool {
        true
    }

    fn name(&mut self, name: Cow<'a, str>) {
        let object = self.open.last().copied().unwrap_or_default();
        if self.open.len() == 1 {
            self.own = Some((name.clone(), 0));
        }
        self.found.all.push((object, name));
    }

    fn begin(&mut self, depth: usize, at: usize, _: u8) {
        if let Some((_, start)) = self.own.as_mut().filter(|_| depth == 1) {
            *start = at;
        }
        self.open.push(self.begun);
        self.begun += 1;
    }

    fn end(&mut self, depth: usize, at: usize) {
        self.open.pop();
        if depth == 1
            && let Some((name, start)) = self.own.take()
        {
            let raw = self.bytes.get(start..at).unwrap_or_default();
            self.found.object.push(name, raw);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_returned_with_its_object() {
        let document = br#"{"a":{"b":1,"c":[2,{"d":3}]},"\u0065":{},"f":4}"#;
        let names = names(document, &JsonLimits::default()).unwrap().all;
        let names: Vec<(usize, &str)> = names.iter().map(|(at, name)| (*at, &**name)).collect();
        let expected = [(0, "a"), (1, "b"), (1, "c"), (5, "d"), (0, "e"), (0, "f")];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_refused_document_has_no_names() {
        let refused = names(br#"{"a":1"#, &JsonLimits::default());
        assert_eq!(refused, Err(JsonError::Syntax));
    }
}
