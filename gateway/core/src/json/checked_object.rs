//! The members of a document's object, found in the same walk that checks the document. Their values stay raw.

use std::borrow::Cow;

use super::check::{Observer, observe};
use super::limits::{JsonError, JsonLimits};
use super::object::Object;

/// The room for members at the beginning. Few tokens have more claims.
const USUAL_MEMBERS: usize = 16;

/// Checks a document as [`check`](super::check()) does, and returns the members that [`object`](super::object()) would find; `None` if
/// the document is another value.
///
/// # Errors
/// What is wrong with the document.
pub(crate) fn checked_object<'a>(
    document: &'a str,
    limits: &JsonLimits,
) -> Result<Option<Object<'a>>, JsonError> {
    let found = Found {
        document,
        is_object: false,
        members: Object::with_capacity(USUAL_MEMBERS),
        name: None,
        begin: 0,
    };
    let found = observe(document, limits, found)?;
    Ok(found.is_object.then_some(found.members))
}

/// The observer that records the members of the outermost object.
struct Found<'a> {
    document: &'a str,
    is_object: bool,
    members: Object<'a>,
    /// The name of the next member.
    name: Option<Cow<'a, str>>,
    /// Where its value begins.
    begin: usize,
}

impl<'a> Observer<'a> for Found<'a> {
    fn wants_names(&self, depth: usize) -> bool {
        depth == 1
    }

    fn name(&mut self, name: Cow<'a, str>) {
        self.name = Some(name);
    }

    fn begin(&mut self, depth: usize, at: usize, first: u8) {
        match depth {
            0 => self.is_object = first == b'{',
            1 => self.begin = at,
            _ => {}
        }
    }

    fn end(&mut self, depth: usize, at: usize) {
        // Elements of an array have no name.
        if let Some(name) = (depth == 1).then(|| self.name.take()).flatten() {
            let raw = self.document.as_bytes().get(self.begin..at);
            self.members.push(name, raw.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{check, object};

    #[test]
    fn it_finds_the_same_members_as_a_check_and_another_walk() {
        for text in [
            "{}",
            " { } ",
            r#"{"":1}"#,
            r#" { "a" : 1 , "b\u0021":[1,{"c":"]}"},[{}]], "":"x\"" ,"n":null,"e":{ "a":{"b":[]} } , "f":-1.5e3} "#,
            "[]",
            r#"[{"a":1},2]"#,
            r#"[[{"a":1}]]"#,
            "7",
            "\"a\"",
            "null",
            "",
            "{",
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"\ud800":1}"#,
            r#"{"a":{"\ud800":1}}"#,
            r#"{"a":1,}"#,
            r#"{"a":1}{}"#,
            r#"{"a"1}"#,
        ] {
            let limits = JsonLimits::default();
            let expected = check(text.as_bytes(), &limits).map(|()| object(text.as_bytes()).ok());
            assert_eq!(checked_object(text, &limits), expected, "{text}");
        }
        let (limits, deep) = (
            JsonLimits {
                depth: 2,
                members: 3,
            },
            [r#"{"a":[[1]]}"#, r#"{"a":[1,2,3]}"#, r#"{"a":[1,2]}"#],
        );
        for text in deep {
            let expected = check(text.as_bytes(), &limits).map(|()| object(text.as_bytes()).ok());
            assert_eq!(checked_object(text, &limits), expected, "{text}");
        }
    }
}
