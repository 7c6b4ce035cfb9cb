//! One walk over a whole document that checks grammar, depth, number of members and elements, and repeated names.
//!
//! The walk has its own stack, so that a depth limit that is set too high cannot overflow the stack of the thread.

use std::borrow::Cow;
use std::collections::HashSet;

use super::lexer::Lexer;
use super::limits::{JsonError, JsonLimits};
use super::text;

/// Checks a whole document, of any kind of value.
///
/// # Errors
/// What is wrong with it. [`JsonError::Duplicate`] and [`JsonError::NameNotText`] mean that everything else is correct, so a
/// caller can still read unambiguous values of the document (the id of a request).
pub fn check(bytes: &[u8], limits: &JsonLimits) -> Result<(), JsonError> {
    observe(text::utf8(bytes)?, limits, Nobody).map(|_| ())
}

/// Checks a whole document as [`check`] does, shows its values to an observer, and returns the observer.
pub(super) fn observe<'a, O: Observer<'a>>(
    document: &'a str,
    limits: &JsonLimits,
    observer: O,
) -> Result<O, JsonError> {
    match observe_flawed(document, limits, observer) {
        Ok((observer, None)) => Ok(observer),
        Ok((_, Some(flaw))) => Err(flaw),
        Err((_, error)) => Err(error),
    }
}

/// The same, but if only a name is wrong, it returns the observer together with that error. The observer comes with any other
/// error too: it saw the values before it.
pub(super) fn observe_flawed<'a, O: Observer<'a>>(
    document: &'a str,
    limits: &JsonLimits,
    observer: O,
) -> Result<(O, Option<JsonError>), (O, JsonError)> {
    #[cfg(test)]
    super::walks::count();
    let mut walk = Walk {
        text: document,
        lexer: Lexer::new(document.as_bytes()),
        limits,
        members: 0,
        escaped_names_left: MAX_ESCAPED_NAMES,
        open: Vec::with_capacity(USUAL_DEPTH),
        names: [""; ROOM],
        names_kept: 0,
        flaw: None,
        observer,
    };
    match walk.value().and_then(|()| walk.lexer.end()) {
        Ok(()) => Ok((walk.observer, walk.flaw)),
        Err(error) => Err((walk.observer, error)),
    }
}

/// Sees the values of a document during the check. A depth is the number of objects and arrays around a value.
pub(super) trait Observer<'a> {
    /// Whether the document was checked before, so that no object in it repeats a name.
    const IS_CHECKED: bool = false;
    /// Whether it needs the names of the members at this depth.
    fn wants_names(&self, depth: usize) -> bool;
    /// The next value is a member with this name.
    fn name(&mut self, name: Cow<'a, str>);
    /// A value begins at this position, with this byte.
    fn begin(&mut self, depth: usize, at: usize, first: u8);
    /// The innermost value that began at this depth ends before this byte.
    fn end(&mut self, depth: usize, at: usize);
}

/// The observer of a check that needs no values.
struct Nobody;

impl<'a> Observer<'a> for Nobody {
    fn wants_names(&self, _: usize) -> bool {
        false
    }
    fn name(&mut self, _: Cow<'a, str>) {}
    fn begin(&mut self, _: usize, _: usize, _: u8) {}
    fn end(&mut self, _: usize, _: usize) {}
}

/// Bytes of the member names with escapes in one document: reading an escape takes several times as long as reading plain text.
pub(super) const MAX_ESCAPED_NAMES: usize = 1 << 20;

/// Up to this many names of one object are compared one by one. For more names a set is faster.
const FEW_NAMES: usize = 16;

/// The room for the names of all open objects that have few names. An object that finds none has a set.
const ROOM: usize = 48;

/// The room for open objects and arrays at the beginning. Few documents are nested more deeply.
const USUAL_DEPTH: usize = 8;

struct Walk<'a, 'l, O> {
    text: &'a str,
    lexer: Lexer<'a>,
    limits: &'l JsonLimits,
    /// Members and elements so far.
    members: usize,
    /// Bytes of names with escapes that may still follow.
    escaped_names_left: usize,
    open: Vec<Open<'a>>,
    /// The names of all open objects that have few names, none with escapes; those of the innermost object are last.
    names: [&'a str; ROOM],
    /// How many of them are used.
    names_kept: usize,
    /// The error of the first name that is repeated or not Unicode text. It is returned only if the rest is well-formed.
    flaw: Option<JsonError>,
    observer: O,
}

enum Open<'a> {
    Array,
    Object(SeenNames<'a>),
}

/// The names that an open object has so far.
struct SeenNames<'a> {
    /// Where they begin in [`Walk::names`].
    from: usize,
    /// All of them in a set: for many names, for names with escapes, and where [`Walk::names`] is full.
    #[expect(
        clippy::box_collection,
        reason = "few objects have it, and it is six times the size of a box"
    )]
    many: Option<Box<HashSet<Cow<'a, str>>>>,
}

impl<'a, O: Observer<'a>> Walk<'a, '_, O> {
    /// One value with everything inside it.
    fn value(&mut self) -> Result<(), JsonError> {
        loop {
            if self.begin_value()? && !self.next_or_close()? {
                return Ok(());
            }
        }
    }

    /// Reads a simple value, or opens an object or array; true if a value has ended, or its end comes next.
    fn begin_value(&mut self) -> Result<bool, JsonError> {
        let first = self.lexer.take_token()?;
        self.observer
            .begin(self.open.len(), self.lexer.at() - 1, first);
        match first {
            b'{' => {
                let from = self.names_kept;
                self.open(Open::Object(SeenNames { from, many: None }))?;
                if self.lexer.peek_token() == Some(b'}') {
                    return self.close().map(|()| true);
                }
                return self.name().map(|()| false);
            }
            b'[' => {
                self.open(Open::Array)?;
                if self.lexer.peek_token() == Some(b']') {
                    return self.close().map(|()| true);
                }
                return self.count().map(|()| false);
            }
            b'"' => self.lexer.skip_string().map(|_| ())?,
            b't' => self.lexer.literal(b"rue")?,
            b'f' => self.lexer.literal(b"alse")?,
            b'n' => self.lexer.literal(b"ull")?,
            first => self.lexer.number(first)?,
        }
        self.observer.end(self.open.len(), self.lexer.at());
        Ok(true)
    }

    /// After a value: true if another one follows, false if the outermost one has ended.
    fn next_or_close(&mut self) -> Result<bool, JsonError> {
        loop {
            let in_object = match self.open.last() {
                None => return Ok(false),
                Some(Open::Object(_)) => true,
                Some(Open::Array) => false,
            };
            match (self.lexer.peek_token(), in_object) {
                (Some(b','), _) => {
                    self.lexer.take()?;
                    match in_object {
                        true => self.name()?,
                        false => self.count()?,
                    }
                    return Ok(true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close()?,
                _ => return Err(JsonError::Syntax),
            }
        }
    }

    fn open(&mut self, open: Open<'a>) -> Result<(), JsonError> {
        if self.open.len() >= self.limits.depth {
            return Err(JsonError::TooDeep);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), JsonError> {
        self.lexer.take()?;
        if let Some(Open::Object(names)) = self.open.pop() {
            self.names_kept = names.from;
        }
        self.observer.end(self.open.len(), self.lexer.at());
        Ok(())
    }

    /// Counts a member or an element.
    const fn count(&mut self) -> Result<(), JsonError> {
        self.members += 1;
        match self.members > self.limits.members {
            true => Err(JsonError::TooManyMembers),
            false => Ok(()),
        }
    }

    /// Reads the name of a member and the colon after it.
    fn name(&mut self) -> Result<(), JsonError> {
        self.lexer.expect(b'"')?;
        let begin = self.lexer.at();
        let has_escapes = self.lexer.skip_string()?;
        let name = self.text.get(begin..self.lexer.at() - 1);
        let name = name.unwrap_or_default();
        self.lexer.expect(b':')?;
        self.count()?;
        if has_escapes {
            return self.name_with_escapes(name);
        }
        if self.observer.wants_names(self.open.len()) {
            self.observer.name(Cow::Borrowed(name));
        }
        if !O::IS_CHECKED && !self.is_new(name) {
            self.flaw.get_or_insert(JsonError::Duplicate);
        }
        Ok(())
    }

    /// The same for a name that has escapes. It may not be Unicode text.
    #[cold]
    fn name_with_escapes(&mut self, escaped: &str) -> Result<(), JsonError> {
        let left = self.escaped_names_left.checked_sub(escaped.len());
        self.escaped_names_left = left.ok_or(JsonError::EscapedNames)?;
        let Some(name) = text::unescape(escaped) else {
            self.flaw.get_or_insert(JsonError::NameNotText);
            return Ok(());
        };
        let name = name.into_owned();
        if self.observer.wants_names(self.open.len()) {
            self.observer.name(Cow::Owned(name.clone()));
        }
        if !O::IS_CHECKED && !self.is_new_in_set(Cow::Owned(name)) {
            self.flaw.get_or_insert(JsonError::Duplicate);
        }
        Ok(())
    }

    /// Stores a name of the innermost object; false if the object has that name already.
    // Called once for each name: a call would cost as much as the comparison.
    #[inline(always)]
    fn is_new(&mut self, name: &'a str) -> bool {
        let Some(Open::Object(seen)) = self.open.last() else {
            return true;
        };
        if seen.many.is_some() {
            return self.is_new_in_set(Cow::Borrowed(name));
        }
        let before = self.names.get(seen.from..self.names_kept);
        let before = before.unwrap_or_default();
        if before.contains(&name) {
            return false;
        }
        let is_few = before.len() < FEW_NAMES;
        match self.names.get_mut(self.names_kept).filter(|_| is_few) {
            Some(place) => {
                *place = name;
                self.names_kept += 1;
                true
            }
            None => self.is_new_in_set(Cow::Borrowed(name)),
        }
    }

    /// The same with a set, in which all names of the object are then stored.
    fn is_new_in_set(&mut self, name: Cow<'a, str>) -> bool {
        let Some(Open::Object(seen)) = self.open.last_mut() else {
            return true;
        };
        let few = self.names.get(seen.from..self.names_kept);
        let few = few.unwrap_or_default().iter();
        let many = seen.many.get_or_insert_with(|| {
            let few = few.map(|own| Cow::Borrowed(*own));
            Box::new(few.collect())
        });
        self.names_kept = seen.from;
        many.insert(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(document: &[u8]) -> Result<(), JsonError> {
        check(document, &JsonLimits::default())
    }

    #[test]
    fn names_with_escapes_are_bounded_together() {
        let document = |name: &str, count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!(r#""{n}{name}":0"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let quarter = "\\n".repeat(MAX_ESCAPED_NAMES / 8 - 1);
        let plain = "n".repeat(MAX_ESCAPED_NAMES / 4);
        let judged =
            |name: &str, count| check(document(name, count).as_bytes(), &JsonLimits::default());
        assert_eq!(judged(&quarter, 4), Ok(()));
        assert_eq!(judged(&quarter, 5), Err(JsonError::EscapedNames));
        assert_eq!(judged(&plain, 9), Ok(()));
    }

    #[test]
    fn a_repeated_name_is_found_however_the_names_are_stored() {
        // Objects in one another, some with more names than are compared one by one, all with more than there is room for.
        for (objects, names) in [(1, 1), (1, 40), (6, 10), (6, 16), (6, 17), (12, 7)] {
            let own = |object: usize| {
                let own: Vec<_> = (0..names).map(|n| format!("\"n{n}_{object}\":0")).collect();
                own.join(",")
            };
            for (name, at) in (0..names).flat_map(|name| (0..objects).map(move |at| (name, at))) {
                for (repeated, verdict) in [
                    (format!("\"n{name}_{at}\""), Err(JsonError::Duplicate)),
                    (format!("\"\\u006e{name}_{at}\""), Err(JsonError::Duplicate)),
                    (format!("\"N{name}_{at}\""), Ok(())),
                    (format!("\"\\u004e{name}_{at}\""), Ok(())),
                ] {
                    let mut document = "0".to_owned();
                    for object in 0..objects {
                        let more = if object == at {
                            format!(",{repeated}:0,\"last\":0")
                        } else {
                            String::new()
                        };
                        document = format!("{{{},\"inner\":{document}{more}}}", own(object));
                    }
                    assert_eq!(checked(document.as_bytes()), verdict, "{document}");
                }
            }
        }
    }

    #[test]
    fn an_unambiguous_document_is_accepted() {
        let documents: &[&str] = &[
            "0",
            "-0",
            "1.5e+10",
            "-12E-3",
            "true",
            "false",
            "null",
            "\"\"",
            "[]",
            "{}",
            " \t\r\n[ ] \n",
            "[1,2,[3]]",
            "[{},[],{}]",
            r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#,
            r#""\"\\\/\b\f\n\r\t\u00e9""#,
            r#"{"path":1,"PATH":2,"path\u0000":3}"#,
            r#"{"":1}"#,
            "\"grüße 世界 😀\"",
        ];
        for document in documents {
            assert_eq!(checked(document.as_bytes()), Ok(()), "{document}");
        }
    }

    #[test]
    fn huge_numbers_and_lone_surrogates_in_values_are_accepted() {
        for document in [
            r#"[1e999999, -123456789012345678901234567890]"#,
            r#"["\ud800","\udc00x","\ud800\ud800"]"#,
        ] {
            assert_eq!(checked(document.as_bytes()), Ok(()), "{document}");
        }
    }

    #[test]
    fn input_that_is_not_one_json_document_is_refused() {
        let documents: &[&[u8]] = &[
            b"",
            b" ",
            b"{",
            b"}",
            b"[",
            b"]",
            b"[1",
            b"[1,",
            b"[1,]",
            b"[,1]",
            b"[1 2]",
            b"{,}",
            b"{\"a\"}",
            b"{\"a\":}",
            b"{\"a\":1,}",
            b"{\"a\" 1}",
            b"{a:1}",
            b"{'a':1}",
            b"{1:1}",
            b"{\"a\":1]",
            b"[1}",
            b"{}{}",
            b"{} {}",
            b"[]x",
            b"{\"a\":1}\0",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"-",
            b"+1",
            b"01",
            b"-01",
            b"1.",
            b".5",
            b"1e",
            b"1e+",
            b"1.e1",
            b"0x10",
            b"1_000",
            b"tru",
            b"truee",
            b"True",
            b"nul",
            b"undefined",
            b"\"",
            b"\"a",
            b"\"\\\"",
            b"\"\\x41\"",
            b"\"\\u12g4\"",
            b"\"\\u12\"",
            b"\"a\nb\"",
            b"\"a\0b\"",
            b"\"\x1f\"",
            b"'a'",
            b"// c\n1",
            b"/**/1",
            b"1 // c",
            b"\xef\xbb\xbf{}",
            b"{\0}\0",
            b"\0{\0}",
            b"[1]\x0b",
            b"\x0c[1]",
            "\u{a0}[1]".as_bytes(),
            "\u{2028}1".as_bytes(),
        ];
        for document in documents {
            assert_eq!(
                checked(document),
                Err(JsonError::Syntax),
                "{:?}",
                String::from_utf8_lossy(document)
            );
        }
    }

    #[test]
    fn input_that_is_not_utf8_is_refused() {
        let documents: &[&[u8]] = &[
            b"\"\xff\"",
            b"\"\xc0\x80\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xf5\x80\x80\x80\"",
            b"\xff\xfe{\0}\0",
            b"\"\xe4\xb8\"",
        ];
        for document in documents {
            assert_eq!(checked(document), Err(JsonError::NotUtf8), "{document:?}");
        }
    }

    #[test]
    fn a_repeated_name_is_refused_at_every_depth() {
        let documents = [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"é":1,"\u00e9":2}"#,
            r#"{"😀":1,"\ud83d\uDE00":2}"#,
            r#"{"/":1,"\/":2}"#,
            r#"{"":1,"":2}"#,
            r#"{"x":{"y":[{"a":1},{"a":1,"b":0,"a":2}]}}"#,
            r#"[[[{"a":1,"b":{"c":1},"a":2}]]]"#,
        ];
        for document in documents {
            assert_eq!(
                checked(document.as_bytes()),
                Err(JsonError::Duplicate),
                "{document}"
            );
        }
    }

    #[test]
    fn a_repeated_name_is_found_among_many() {
        for count in [1, FEW_NAMES - 1, FEW_NAMES, FEW_NAMES + 1, 1_000] {
            let members: Vec<String> = (0..count)
                .map(|n| format!("\"n{n}\":{{\"n{n}\":0}}"))
                .collect();
            let members = members.join(",");
            assert_eq!(
                checked(format!("{{{members}}}").as_bytes()),
                Ok(()),
                "{count}"
            );
            for twice in [0, count / 2, count - 1] {
                let document = format!("{{{members},\"n{twice}\":0}}");
                assert_eq!(
                    checked(document.as_bytes()),
                    Err(JsonError::Duplicate),
                    "{twice} of {count}"
                );
            }
        }
    }

    #[test]
    fn a_name_with_half_a_surrogate_pair_is_refused() {
        for document in [
            r#"{"\ud800":1}"#,
            r#"[{"a\udc00":1}]"#,
            r#"{"\ud800\u0061":1}"#,
        ] {
            assert_eq!(
                checked(document.as_bytes()),
                Err(JsonError::NameNotText),
                "{document}"
            );
        }
    }

    #[test]
    fn a_syntax_error_is_returned_before_a_repeated_name() {
        assert_eq!(checked(br#"{"a":1,"a":2"#), Err(JsonError::Syntax));
    }

    #[test]
    fn a_document_deeper_than_the_limit_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(checked(nested(64).as_bytes()), Ok(()));
        assert_eq!(checked(nested(65).as_bytes()), Err(JsonError::TooDeep));
        assert_eq!(
            checked("[".repeat(1_000_000).as_bytes()),
            Err(JsonError::TooDeep)
        );
        assert_eq!(
            checked("{\"a\":".repeat(65).as_bytes()),
            Err(JsonError::TooDeep)
        );
        let wide = JsonLimits {
            depth: 1_000_000,
            members: 1_000_000,
        };
        assert_eq!(
            check(nested(1_000_000).as_bytes(), &wide),
            Ok(()),
            "no stack to overflow"
        );
    }

    #[test]
    fn the_limit_counts_members_and_elements_of_the_whole_document() {
        let limits = JsonLimits {
            depth: 8,
            members: 4,
        };
        for document in [
            r#"{"a":{"b":1},"c":{"d":1}}"#,
            r#"[{"a":{"b":1}},[]]"#,
            "[[],[],[],[]]",
            "[[[[[]]]]]",
            r#"{"a":[1,2,3]}"#,
        ] {
            assert_eq!(check(document.as_bytes(), &limits), Ok(()), "{document}");
        }
        for document in [
            r#"{"a":{"b":1},"c":{"d":1,"e":1}}"#,
            r#"[{"a":{"b":1}},[1]]"#,
            "[[],[],[],[],[]]",
            "[[[[[[]]]]]]",
            r#"{"a":[1,2,3,4]}"#,
        ] {
            let checked = check(document.as_bytes(), &limits);
            assert_eq!(checked, Err(JsonError::TooManyMembers), "{document}");
        }
    }

    #[test]
    fn strings_around_the_block_length_end_at_their_quote() {
        for length in 0..100 {
            let text = "x".repeat(length);
            assert_eq!(
                checked(format!("[\"{text}\",\"{text}\\n{text}\"]").as_bytes()),
                Ok(()),
                "{length}"
            );
            assert_eq!(
                checked(format!("\"{text}\n{text}\"").as_bytes()),
                Err(JsonError::Syntax),
                "{length}"
            );
            assert_eq!(
                checked(format!("\"{text}").as_bytes()),
                Err(JsonError::Syntax),
                "{length}"
            );
        }
    }

    /// Mutates documents byte by byte and compares the result with another reader.
    #[test]
    fn it_agrees_with_another_reader_about_valid_json() {
        let seeds = [
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":-1.5e3,"t":true}}}"#,
            r#"[null,false,"\u00e9\n\"",[],{},[{"a":[0,10,1E2]}]]"#,
            " { \"a\" : [ 1 , 2 ] , \"b\" : \"\\\\\" } ",
        ];
        let bytes = b"\"\\{}[],:0-+.eE1tu /\x00\x0a\x7f\xc3\xff";
        let mut compared = 0;
        for seed in seeds {
            for at in 0..seed.len() {
                for byte in bytes {
                    let mut replaced = seed.as_bytes().to_vec();
                    replaced[at] = *byte;
                    let mut inserted = seed.as_bytes().to_vec();
                    inserted.insert(at, *byte);
                    let cut = seed.as_bytes()[..at].to_vec();
                    for document in [replaced, inserted, cut] {
                        let theirs = serde_json::from_slice::<serde_json::Value>(&document).is_ok();
                        let ours = matches!(checked(&document), Ok(()) | Err(JsonError::Duplicate));
                        assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&document));
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 10_000);
    }
}
