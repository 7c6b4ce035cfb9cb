//! The names of all members of a document, found in one walk whatever the depth.

use std::borrow::Cow;

use super::check::{Observer, observe};
use super::error::JsonError;
use super::limits::JsonLimits;

/// Every member's name, in order, each with a number that the members of one object share.
///
/// # Errors
/// What is wrong with the document.
pub fn names<'a>(
    bytes: &'a [u8],
    limits: &JsonLimits,
) -> Result<Vec<(usize, Cow<'a, str>)>, JsonError> {
    let collector = Collector::default();
    Ok(observe(bytes, limits, collector)?.names)
}

#[derive(Default)]
struct Collector<'a> {
    names: Vec<(usize, Cow<'a, str>)>,
    /// The values that have begun and not ended, by number; a name belongs to the last.
    open: Vec<usize>,
    /// How many values have begun.
    begun: usize,
}

impl<'a> Observer<'a> for Collector<'a> {
    fn wants_names(&self, _: usize) -> bool {
        true
    }

    fn name(&mut self, name: Cow<'a, str>) {
        let object = self.open.last().copied().unwrap_or_default();
        self.names.push((object, name));
    }

    fn begin(&mut self, _: usize, _: usize) {
        self.open.push(self.begun);
        self.begun += 1;
    }

    fn end(&mut self, _: usize, _: usize) {
        self.open.pop();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_name_is_told_with_its_object() {
        let document = br#"{"a":{"b":1,"c":[2,{"d":3}]},"\u0065":{},"f":4}"#;
        let names = names(document, &JsonLimits::default()).unwrap();
        let names: Vec<(usize, &str)> = names.iter().map(|(at, name)| (*at, &**name)).collect();
        let expected = [(0, "a"), (1, "b"), (1, "c"), (5, "d"), (0, "e"), (0, "f")];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_is_refused_has_no_names() {
        let refused = names(br#"{"a":1"#, &JsonLimits::default());
        assert_eq!(refused, Err(JsonError::Syntax));
    }
}
