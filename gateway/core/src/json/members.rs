//! The members of a document's object, and of requested objects in it, found in the same walk that checks it.

use super::check::observe_flawed;
use super::limits::{JsonError, JsonLimits};
use super::outline::recorder::Recorder;
use super::outline::{Outline, OutlineValue};
use super::text;

/// What one walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a> {
    outline: Outline<'a>,
    /// The document is an object whose own names are Unicode text.
    has_object: bool,
    /// What is wrong with a name, if nothing else is wrong: [`JsonError::Duplicate`] or [`JsonError::NameNotText`]. Or the limit
    /// that the document exceeds.
    pub flaw: Option<JsonError>,
}

impl<'a> Members<'a> {
    /// The document's object; `None` if the document is not an object, or if one of its own names is not Unicode text. Beyond a
    /// limit, it has the members before the place that is beyond it.
    pub fn object(&self) -> Option<OutlineValue<'_, 'a>> {
        self.has_object.then(|| self.outline.root())
    }
}

/// Checks a document as [`check`](super::check()) does, and reads the members of its object and of the objects in it with these
/// names, each directly in another object that is read. Other objects have no members here.
///
/// # Errors
/// What is wrong with the document, except for a wrong name and a limit.
pub fn members<'a>(
    bytes: &'a [u8],
    limits: &JsonLimits,
    opened: &[&str],
) -> Result<Members<'a>, JsonError> {
    let document = text::utf8(bytes)?;
    let is_opened = |name: Option<&str>| name.is_some_and(|name| opened.contains(&name));
    let reads = |depth, name: Option<&str>, first| first == b'{' && (depth == 0 || is_opened(name));
    // How many members there are is limited by `limits`.
    let recorder = Recorder::new(reads, usize::MAX);
    let (recorder, flaw) = match observe_flawed(document, limits, recorder) {
        Ok(read) => read,
        Err((recorder, error)) if error.is_limit() => {
            (recorder.stopped(document.len()), Some(error))
        }
        Err((_, error)) => return Err(error),
    };
    let is_nameless = recorder.is_nameless;
    let outline = Outline::of(document, recorder).ok_or(JsonError::TooManyValues)?;
    Ok(Members {
        has_object: outline.root().is_object() && !is_nameless,
        outline,
        flaw,
    })
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
    fn same(object: OutlineValue<'_, '_>, raw: &[u8]) {
        let again = json::object(raw).unwrap();
        let members = object.members().map(|(name, value)| (name, value.raw()));
        assert!(members.eq(again.iter()), "{object:?}");
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
            let read = read(text);
            let root = read.object().unwrap();
            same(root, text.as_bytes());
            for name in ["params", "_meta"] {
                let Some(inner) = root.get(name).filter(|inner| inner.is_object()) else {
                    continue;
                };
                same(inner, inner.raw());
                if let Some(meta) = inner.get("_meta").filter(|meta| meta.is_object()) {
                    same(meta, meta.raw());
                }
            }
        }
    }

    #[test]
    fn only_requested_objects_are_read() {
        let read = read(r#"{"other":{"params":{"a":1}},"params":[{"a":1}],"_meta":{"a":1}}"#);
        let root = read.object().unwrap();
        let count = |name| root.get(name).map(|value| value.members().count());
        assert_eq!(count("other"), Some(0));
        assert_eq!(count("params"), Some(0));
        assert_eq!(count("_meta"), Some(1));
        assert_eq!(root.members().count(), 3);
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
            assert_eq!(read.object().is_some(), is_read, "{text}");
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
            let object = read.object().unwrap();
            assert_eq!(object.get("id").unwrap().raw(), b"1", "{text}");
            assert_eq!(object.members().count(), 1, "{text}");
        }
        let read = members(b"[[[]]]", &limits, &[]).unwrap();
        assert_eq!(
            (read.object().is_none(), read.flaw),
            (true, Some(JsonError::TooDeep))
        );
        let nested = r#"{"id":1,"params":{"_meta":{"b":1}}}"#;
        let read = members(nested.as_bytes(), &limits, &["params", "_meta"]).unwrap();
        let object = read.object().unwrap();
        assert_eq!(read.flaw, Some(JsonError::TooDeep));
        let names: Vec<_> = object.members().map(|(name, _)| name).collect();
        assert_eq!(names, ["id"]);
    }
}
