//! Reads the members of one object, or the elements of one array, and leaves their values raw.
//!
//! For documents that [`check`](super::check()) accepted. Other documents never cause a panic, but this reader may find members
//! in them that a strict reader does not find.

use std::borrow::Cow;
use std::ops::Range;

use super::lexer::Lexer;
use super::limits::JsonError;
use super::text;

/// How generated clients write a member that they leave out.
const NULL: &[u8] = b"null";

/// The members of one object, in order, their values raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a> {
    members: Vec<Member<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member<'a> {
    name: Cow<'a, str>,
    raw: &'a [u8],
}

impl<'a> Object<'a> {
    /// The raw value of the first member with this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(member, _)| *member == name)
            .map(|(_, raw)| raw)
    }

    /// The raw value of the first member with this name, for a member that is optional: null counts as absent.
    pub fn given(&self, name: &str) -> Option<&'a [u8]> {
        self.get(name).filter(|raw| *raw != NULL)
    }

    /// Every member: its name, unescaped, and its raw value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a [u8])> + Clone {
        self.members
            .iter()
            .map(|member| (member.name.as_ref(), member.raw))
    }

    /// One without members, and with room for so many.
    pub(super) fn with_capacity(members: usize) -> Self {
        Self {
            members: Vec::with_capacity(members),
        }
    }

    /// Adds a member after the others.
    pub(super) fn push(&mut self, name: Cow<'a, str>, raw: &'a [u8]) {
        self.members.push(Member { name, raw });
    }

    /// Every member as in [`iter`](Self::iter), with names that borrow from the document where possible.
    pub fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, &'a [u8])> {
        self.members
            .into_iter()
            .map(|member| (member.name, member.raw))
    }

    /// The member at this position.
    pub(crate) fn at(&self, position: usize) -> Option<(&Cow<'a, str>, &'a [u8])> {
        let member = self.members.get(position)?;
        Some((&member.name, member.raw))
    }

    /// The positions of all members, in the order of their names.
    pub(crate) fn by_name(&self) -> Box<[usize]> {
        let mut positions: Box<[usize]> = (0..self.members.len()).collect();
        positions.sort_by_key(|position| self.at(*position).map(|(name, _)| &**name));
        positions
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<'a> FromIterator<(Cow<'a, str>, &'a [u8])> for Object<'a> {
    /// An object of these members, which were read before.
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, &'a [u8])>>(members: I) -> Self {
        let member = |(name, raw)| Member { name, raw };
        Self {
            members: members.into_iter().map(member).collect(),
        }
    }
}

/// The position in a document of a part of it, such as a raw value; `None` if it is not a part of the document.
pub fn span(document: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(document.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= document.len()).then_some(start..end)
}

/// The members of an object.
///
/// # Errors
/// [`JsonError::Syntax`] if the value is not an object, [`JsonError::NameNotText`] if a name is not Unicode text.
pub fn object(bytes: &[u8]) -> Result<Object<'_>, JsonError> {
    #[cfg(test)]
    super::walks::count();
    let mut read = Object::default();
    each(bytes, b"{}", |lexer| {
        lexer.expect(b'"')?;
        let name = text::unescape_bytes(lexer.string()?).ok_or(JsonError::NameNotText)?;
        lexer.expect(b':')?;
        read.push(name, raw(lexer)?);
        Ok(())
    })?;
    Ok(read)
}

/// The elements of an array, raw.
///
/// # Errors
/// [`JsonError::Syntax`] if the value is not an array.
pub fn array(bytes: &[u8]) -> Result<Vec<&[u8]>, JsonError> {
    array_up_to(bytes, usize::MAX)
}

/// The elements of an array that has at most so many, raw.
///
/// # Errors
/// As [`array()`]; [`JsonError::TooManyValues`] for more elements, which are not read.
pub(crate) fn array_up_to(bytes: &[u8], most: usize) -> Result<Vec<&[u8]>, JsonError> {
    let mut elements = Vec::new();
    each(bytes, b"[]", |lexer| {
        if elements.len() == most {
            return Err(JsonError::TooManyValues);
        }
        elements.push(raw(lexer)?);
        Ok(())
    })?;
    Ok(elements)
}

/// Calls `item` for each of the values, separated by commas, between these brackets.
fn each<'a>(
    bytes: &'a [u8],
    [open, close]: &[u8; 2],
    mut item: impl FnMut(&mut Lexer<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    let mut lexer = Lexer::new(bytes);
    lexer.expect(*open)?;
    if lexer.peek_token() == Some(*close) {
        lexer.take()?;
        return lexer.end();
    }
    loop {
        item(&mut lexer)?;
        match lexer.take_token()? {
            b',' => {}
            byte if byte == *close => return lexer.end(),
            _ => return Err(JsonError::Syntax),
        }
    }
}

/// Skips one value of any depth and returns its bytes.
fn raw<'a>(lexer: &mut Lexer<'a>) -> Result<&'a [u8], JsonError> {
    lexer.peek_token();
    let start = lexer.at();
    let mut open = 0_usize;
    loop {
        match lexer.take_token()? {
            b'"' => lexer.string().map(|_| ())?,
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.checked_sub(1).ok_or(JsonError::Syntax)?,
            b',' | b':' if open > 0 => continue,
            b',' | b':' => return Err(JsonError::Syntax),
            _ => lexer.skip_word(),
        }
        if open == 0 {
            return Ok(lexer.since(start));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonLimits, check};

    #[test]
    fn the_members_of_an_object_are_left_raw() {
        let document =
            br#" { "a" : 1 , "b\u0021":[1,{"c":"]}"}], "":"x\"" ,"n":null,"e":{ } , "f":-1.5e3} "#;
        let object = object(document).unwrap();
        let members: Vec<(&str, &[u8])> = object.iter().collect();
        let expected: [(&str, &[u8]); 6] = [
            ("a", b"1"),
            ("b!", br#"[1,{"c":"]}"}]"#),
            ("", br#""x\"""#),
            ("n", b"null"),
            ("e", b"{ }"),
            ("f", b"-1.5e3"),
        ];
        assert_eq!(members, expected);
        assert_eq!(object.get("b!"), Some(expected[1].1));
        assert_eq!(object.get("A"), None);
        assert_eq!(
            (object.get("n"), object.given("n")),
            (Some(&b"null"[..]), None)
        );
        assert_eq!(
            (object.given("a"), object.given("A")),
            (Some(&b"1"[..]), None)
        );
        assert_eq!(object.len(), 6);
        assert!(!object.is_empty() && Object::default().is_empty());
    }

    #[test]
    fn the_position_of_a_value_is_found() {
        let document = br#"{"a":1,"b":[1,{"c":1}]}"#;
        let b = object(document).unwrap().get("b").unwrap();
        let c = object(array(b).unwrap()[1]).unwrap().get("c").unwrap();
        for part in [&document[..], b, c] {
            let span = span(document, part).unwrap();
            assert_eq!(document[span].as_ptr(), part.as_ptr());
        }
        assert_eq!(span(b, c), Some(8..9));
        assert_eq!(span(b, document), None);
        assert_eq!(span(c, b), None);
        assert_eq!(span(document, b"1"), None);
    }

    #[test]
    fn the_elements_of_an_array_are_left_raw() {
        assert_eq!(array(b"[]").unwrap(), Vec::<&[u8]>::new());
        let expected: [&[u8]; 4] = [b"1", b"\"a,]\"", b"[2,[3]]", b"{\"b\": [4]}"];
        assert_eq!(
            array(b" [ 1, \"a,]\" ,[2,[3]],{\"b\": [4]} ] ").unwrap(),
            expected
        );
    }

    #[test]
    fn another_kind_of_value_is_refused() {
        for document in ["", "1", "\"a\"", "null", "[1]", "{\"a\":1}x", "{\"a\"}"] {
            assert_eq!(
                object(document.as_bytes()).err(),
                Some(JsonError::Syntax),
                "{document}"
            );
        }
        for document in ["", "1", "\"a\"", "null", "{\"a\":1}", "[1]x"] {
            assert_eq!(
                array(document.as_bytes()).err(),
                Some(JsonError::Syntax),
                "{document}"
            );
        }
    }

    #[test]
    fn an_unchecked_document_never_panics() {
        for document in [
            "{",
            "[",
            "{\"a\":",
            "{\"a\":}",
            "[1",
            "[[1]",
            "[}",
            "{\"a\":1,}",
            "[,]",
            "[,1]",
            "[:1]",
            "[1}",
            "{\"a\":1]",
            "{\"a\":,1}",
            "[\"a",
            "{\"\\ud800\":1}",
        ] {
            assert!(object(document.as_bytes()).is_err(), "{document}");
            assert!(array(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn it_finds_the_members_that_another_reader_finds() {
        let document =
            br#"{"a":{"b":[1,2,{"c":"d"}]},"e":[[],[{}],"]"],"f":"\\","g":1e5,"h":{"i":"}\""}}"#;
        assert_eq!(check(document, &JsonLimits::default()), Ok(()));
        let theirs: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(document).unwrap();
        let ours = object(document).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (name, raw) in ours.iter() {
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(raw).unwrap(),
                theirs[name],
                "{name}"
            );
        }
    }
}
