//! One canonical form for all spellings of a value, to compare values and not their spelling.

use super::lexer::Lexer;
use super::limits::JsonError;
use super::text;

/// The same bytes for every spelling of a value that [`check`](super::check()) accepted, and for no other value: members are
/// sorted by name, white space and escapes are removed. Numbers keep their spelling, because readers differ in their precision.
/// The result is not JSON.
///
/// # Errors
/// [`JsonError`] if it is not a JSON value.
pub fn canonical(raw: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut lexer = Lexer::new(raw);
    let mut form = Vec::with_capacity(raw.len());
    value(&mut lexer, &mut form)?;
    lexer.end()?;
    Ok(form)
}

fn value(lexer: &mut Lexer<'_>, form: &mut Vec<u8>) -> Result<(), JsonError> {
    match lexer.take_token()? {
        b'{' => object(lexer, form),
        b'[' => array(lexer, form),
        b'"' => {
            string(lexer.string()?, form);
            Ok(())
        }
        _ => word(lexer, form),
    }
}

fn object(lexer: &mut Lexer<'_>, form: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut members = Vec::new();
    items(lexer, b'}', |lexer| {
        lexer.expect(b'"')?;
        let name = text::unescape_bytes(lexer.string()?).ok_or(JsonError::NameNotText)?;
        lexer.expect(b':')?;
        let mut of_value = Vec::new();
        value(lexer, &mut of_value)?;
        members.push((name, of_value));
        Ok(())
    })?;
    members.sort();
    form.push(b'{');
    for (name, of_value) in members {
        sized(b'"', name.as_bytes(), form);
        form.extend(of_value);
    }
    form.push(b'}');
    Ok(())
}

fn array(lexer: &mut Lexer<'_>, form: &mut Vec<u8>) -> Result<(), JsonError> {
    form.push(b'[');
    items(lexer, b']', |lexer| value(lexer, form))?;
    form.push(b']');
    Ok(())
}

/// The values separated by commas, up to the closing bracket.
fn items<'a>(
    lexer: &mut Lexer<'a>,
    close: u8,
    mut item: impl FnMut(&mut Lexer<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    if lexer.peek_token() == Some(close) {
        return lexer.take().map(|_| ());
    }
    loop {
        item(lexer)?;
        match lexer.take_token()? {
            b',' => {}
            byte if byte == close => return Ok(()),
            _ => return Err(JsonError::Syntax),
        }
    }
}

/// Half a surrogate pair is not text, but it is a value: it keeps its escape, with a marker.
fn string(escaped: &[u8], form: &mut Vec<u8>) {
    match text::unescape_bytes(escaped) {
        Some(text) => sized(b'"', text.as_bytes(), form),
        None => sized(b'\\', escaped, form),
    }
}

/// A number or literal whose first byte was read.
fn word(lexer: &mut Lexer<'_>, form: &mut Vec<u8>) -> Result<(), JsonError> {
    let start = lexer.at().saturating_sub(1);
    lexer.skip_word();
    let word = lexer.since(start);
    if !word
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-+.".contains(byte))
    {
        return Err(JsonError::Syntax);
    }
    form.extend(word);
    form.push(b',');
    Ok(())
}

/// The length comes first, so that no content of a text can be mistaken for the value after it.
fn sized(mark: u8, text: &[u8], form: &mut Vec<u8>) {
    form.push(mark);
    form.extend(text.len().to_string().bytes());
    form.push(b':');
    form.extend(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{JsonLimits, check};

    fn of(document: &str) -> Vec<u8> {
        assert_eq!(
            check(document.as_bytes(), &JsonLimits::default()),
            Ok(()),
            "{document}"
        );
        canonical(document.as_bytes()).unwrap()
    }

    #[test]
    fn spellings_of_one_value_have_one_form() {
        let cases: &[&[&str]] = &[
            &["{}", " { } ", "\n{\t}\r\n"],
            &["[]", "[ ]"],
            &["1", " 1 "],
            &["true", "\ttrue"],
            &[r#""a/b""#, r#""\u0061\/b""#],
            &[
                r#"{"a":1,"b":[true,null,{"c":"d","e":-1.5e3}]}"#,
                r#"{ "b" : [ true , null , { "e" : -1.5e3 , "\u0063" : "d" } ] , "a" : 1 }"#,
            ],
            &[r#"{"z":{"y":1,"x":2},"":0}"#, r#"{"":0,"z":{"x":2,"y":1}}"#],
        ];
        for spellings in cases {
            for spelling in *spellings {
                assert_eq!(of(spelling), of(spellings[0]), "{spelling}");
            }
        }
    }

    #[test]
    fn different_values_have_different_forms() {
        let documents = [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "0.0",
            "1",
            "12",
            "[1,2]",
            "[12]",
            "[2,1]",
            "[[1],2]",
            "[[1,2]]",
            "[\"1\"]",
            "\"\"",
            "\"null\"",
            "\"1\"",
            r#""\ud800""#,
            r#""\\ud800""#,
            r#""\udc00""#,
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a":{},"b":1}"#,
            r#"{"A":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
            r#"{"ab":12}"#,
            r#"["a","b"]"#,
            r#"["ab"]"#,
            r#"["a\"1:b"]"#,
            r#"[{},{}]"#,
            r#"[[],{}]"#,
            r#"[{"a":1},{"b":2}]"#,
            r#"[{"a":1,"b":2}]"#,
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            "1e999",
            "1e998",
        ];
        for (at, document) in documents.iter().enumerate() {
            for other in &documents[..at] {
                assert_ne!(of(document), of(other), "{document} and {other}");
            }
        }
    }

    #[test]
    fn invalid_json_never_panics() {
        for document in [
            "",
            "{",
            "[",
            "{\"a\"",
            "{\"a\":}",
            "[1",
            "[}",
            "{]",
            "[1 2]",
            "{1:2}",
            "\"a",
            "1 2",
            "{\"a\":1]",
        ] {
            assert!(canonical(document.as_bytes()).is_err(), "{document}");
        }
    }
}
