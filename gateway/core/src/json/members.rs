//! The members of a document's object, and of requested objects in it, found in the same walk that checks it.

use std::borrow::Cow;

use super::check::{Observer, observe_flawed};
use super::limits::{JsonError, JsonLimits};
use super::object::Object;

/// What one walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a> {
    /// The document's object; `None` if the document is not an object, or if one of its own names is not Unicode text. Beyond a
    /// limit, it has the members before the place that is beyond it.
    pub object: Option<Object<'a>>,
    /// What is wrong with a name, if nothing else is wrong: [`JsonError::Duplicate`] or [`JsonError::NameNotText`]. Or the limit
    /// that the document exceeds.
    pub flaw: Option<JsonError>,
}

/// Checks a document as [`check`](super::check()) does, and reads its object and the objects in it with these names, each inside
/// another object that is read. [`Object::object`] finds them without reading them again.
///
/// # Errors
/// What is wrong with the document, except for a wrong name and a limit.
pub fn members<'a>(
    bytes: &'a [u8],
    limits: &JsonLimits,
    opened: &[&str],
) -> Result<Members<'a>, JsonError> {
    let reader = MembersReader {
        bytes,
        opened,
        open: Vec::new(),
        name: None,
        is_nameless: false,
        root: None,
    };
    let (reader, flaw) = match observe_flawed(bytes, limits, reader) {
        Ok(read) => read,
        Err((reader, error)) if error.is_limit() => (reader.stopped(), Some(error)),
        Err((_, error)) => return Err(error),
    };
    Ok(Members {
        object: reader.root.filter(|_| !reader.is_nameless),
        flaw,
    })
}

struct MembersReader<'a, 'o> {
    bytes: &'a [u8],
    /// The names of the objects that are read.
    opened: &'o [&'o str],
    /// The open values, outermost first, as long as each is a member of an object that is read.
    open: Vec<OpenObject<'a>>,
    /// The name of the next value.
    name: Option<Cow<'a, str>>,
    /// A member of the document's object has a name that is not Unicode text.
    is_nameless: bool,
    root: Option<Object<'a>>,
}

struct OpenObject<'a> {
    name: Cow<'a, str>,
    start: usize,
    /// The members that were read.
    object: Option<Object<'a>>,
}

impl<'a> MembersReader<'a, '_> {
    /// Ends inside the document, with the members of its object so far.
    fn stopped(self) -> Self {
        let mut open = self.open.into_iter();
        Self {
            root: open.next().and_then(|root| root.object),
            open: Vec::new(),
            ..self
        }
    }

    /// Whether the values at this depth are members of an object that is read.
    fn reads(&self, depth: usize) -> bool {
        let around = self.open.last().filter(|_| self.open.len() == depth);
        around.is_some_and(|around| around.object.is_some())
    }
}

impl<'a> Observer<'a> for MembersReader<'a, '_> {
    fn wants_names(&self, depth: usize) -> bool {
        self.reads(depth)
    }

    fn name(&mut self, name: Cow<'a, str>) {
        self.name = Some(name);
    }

    fn begin(&mut self, depth: usize, at: usize) {
        let name = match depth {
            0 => Cow::Borrowed(""),
            _ if !self.reads(depth) => return,
            _ => match self.name.take() {
                Some(name) => name,
                None => {
                    self.is_nameless |= depth == 1;
                    return;
                }
            },
        };
        let is_object = self.bytes.get(at) == Some(&b'{');
        let is_read = is_object && (depth == 0 || self.opened.contains(&&*name));
        self.open.push(OpenObject {
            name,
            start: at,
            object: is_read.then(Object::default),
        });
    }

    fn end(&mut self, depth: usize, at: usize) {
        if self.open.len() != depth + 1 {
            return;
        }
        let Some(ended) = self.open.pop() else {
            return;
        };
        match self
            .open
            .last_mut()
            .and_then(|around| around.object.as_mut())
        {
            Some(around) => {
                let raw = self.bytes.get(ended.start..at).unwrap_or_default();
                around.push(ended.name, raw, ended.object);
            }
            None => self.root = ended.object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn read(text: &str) -> Members<'_> {
        members(
            text.as_bytes(),
            &JsonLimits::default(),
            &["params", "_meta"],
        )
        .unwrap()
    }

    /// The members that a separate reading of an object finds.
    fn same(object: &Object<'_>, raw: &[u8]) {
        let again = json::object(raw).unwrap();
        assert!(object.iter().eq(again.iter()), "{object:?}");
    }

    #[test]
    fn one_walk_finds_the_same_members_as_separate_readings() {
        for text in [
            "{}",
            r#" { "a" : 1 , "b" : [ { "params" : { } } ] , "c" : "d" } "#,
            r#"{"params":{"name":"x","arguments":{"params":{"a":1},"b":[1,{"_meta":{}}]},"_meta":{"a":{"b":1},"c":[]}},"id":1}"#,
            r#"{"p\u0061rams":{"n\u0061me":"x","_meta":{"_meta":{"_meta":1}}}}"#,
            r#"{"params":[{"_meta":{}}],"_meta":{}}"#,
            r#"{"params":"text","_meta":null}"#,
        ] {
            let root = read(text).object.unwrap();
            same(&root, text.as_bytes());
            for name in ["params", "_meta"] {
                let Some(raw) = root.get(name).filter(|raw| raw.starts_with(b"{")) else {
                    continue;
                };
                let inner = root.object(name).unwrap().unwrap();
                assert!(matches!(inner, Cow::Borrowed(_)), "{text}");
                same(&inner, raw);
                if let Some(meta) = inner.get("_meta").filter(|raw| raw.starts_with(b"{")) {
                    let inner = inner.object("_meta").unwrap().unwrap();
                    assert!(matches!(inner, Cow::Borrowed(_)), "{text}");
                    same(&inner, meta);
                }
            }
        }
    }

    #[test]
    fn an_object_that_was_not_requested_is_read_on_access() {
        let root = read(r#"{"other":{"a":1},"text":"x","nothing":null}"#)
            .object
            .unwrap();
        let other = root.object("other").unwrap().unwrap();
        assert!(matches!(other, Cow::Owned(_)));
        assert_eq!(other.get("a"), Some(&b"1"[..]));
        assert_eq!(root.object("text"), Err(JsonError::Syntax));
        assert_eq!(root.object("none"), Ok(None));
        assert_eq!(root.object("nothing"), Ok(None));
    }

    #[test]
    fn other_members_stay_readable_if_a_name_is_wrong() {
        for (text, flaw, is_read) in [
            ("{}", None, true),
            (r#"{"a":1,"a":2}"#, Some(JsonError::Duplicate), true),
            (r#"{"a":{"b":1,"b":2}}"#, Some(JsonError::Duplicate), true),
            (
                r#"{"\ud800":{"a":1},"a":2}"#,
                Some(JsonError::NameNotText),
                false,
            ),
            (r#"{"a":{"\ud800":1}}"#, Some(JsonError::NameNotText), true),
            (
                r#"{"params":{"\ud800":1}}"#,
                Some(JsonError::NameNotText),
                true,
            ),
            ("[]", None, false),
            (r#"[{"params":{}}]"#, None, false),
            ("1", None, false),
        ] {
            let read = read(text);
            assert_eq!(read.flaw, flaw, "{text}");
            assert_eq!(read.object.is_some(), is_read, "{text}");
        }
        let limits = JsonLimits::default();
        assert_eq!(members(b"{", &limits, &[]), Err(JsonError::Syntax));
    }

    #[test]
    fn members_before_the_place_beyond_a_limit_stay_readable() {
        let limits = JsonLimits {
            depth: 2,
            members: 3,
        };
        for (text, flaw) in [
            (r#"{"id":1,"a":{"b":{}},"id":2}"#, JsonError::TooDeep),
            (r#"{"id":1,"a":[[]]x"#, JsonError::TooDeep),
            (r#"{"id":1,"a":[1,2]}"#, JsonError::TooManyMembers),
        ] {
            let read = members(text.as_bytes(), &limits, &[]).unwrap();
            assert_eq!(read.flaw, Some(flaw), "{text}");
            assert_eq!(read.object.unwrap().get("id"), Some(&b"1"[..]), "{text}");
        }
        let read = members(b"[[[]]]", &limits, &[]).unwrap();
        assert_eq!((read.object, read.flaw), (None, Some(JsonError::TooDeep)));
    }
}
