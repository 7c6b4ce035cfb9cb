//! JSON strings as text (RFC 8259 §7).

use std::borrow::Cow;

use super::limits::JsonError;

/// A document as text (RFC 8259 §8.1).
///
/// # Errors
/// [`JsonError::NotUtf8`].
pub(super) fn utf8(document: &[u8]) -> Result<&str, JsonError> {
    std::str::from_utf8(document).map_err(|_| JsonError::NotUtf8)
}

/// The text of a JSON string, passed with its quotes, from a document that [`check`](super::check()) accepted.
///
/// `None` if the value is not a string, or has an escape for half of a surrogate pair and so is not Unicode text.
pub fn string(raw: &[u8]) -> Option<Cow<'_, str>> {
    unescape_bytes(raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
}

/// The same for a value that is known to be UTF-8.
pub(super) fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    unescape(raw.strip_prefix('"')?.strip_suffix('"')?)
}

/// The text of the bytes between the quotes.
pub(super) fn unescape_bytes(escaped: &[u8]) -> Option<Cow<'_, str>> {
    unescape(std::str::from_utf8(escaped).ok()?)
}

/// The text between the quotes.
pub(super) fn unescape(escaped: &str) -> Option<Cow<'_, str>> {
    if !escaped.as_bytes().contains(&b'\\') {
        return Some(Cow::Borrowed(escaped));
    }
    let mut unescaped = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((plain, escape)) = rest.split_once('\\') {
        unescaped.push_str(plain);
        let (character, behind) = character(escape)?;
        unescaped.push(character);
        rest = behind;
    }
    unescaped.push_str(rest);
    Some(Cow::Owned(unescaped))
}

/// The character of an escape, and the text after it, from the text after its backslash.
fn character(escape: &str) -> Option<(char, &str)> {
    let mut rest = escape.chars();
    let character = match rest.next()? {
        literal @ ('"' | '\\' | '/') => literal,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(rest.as_str()),
        _ => return None,
    };
    Some((character, rest.as_str()))
}

/// The character of one or two UTF-16 units, from the text after `\u`.
fn unicode(digits: &str) -> Option<(char, &str)> {
    let (first, rest) = unit(digits)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, rest));
    }
    let (second, rest) = unit(rest.strip_prefix("\\u")?)?;
    let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
    match char::decode_utf16(pair).next()? {
        Ok(character) => Some((character, rest)),
        Err(_) => None,
    }
}

fn unit(digits: &str) -> Option<(u32, &str)> {
    let (unit, rest) = digits.split_at_checked(4)?;
    // `from_str_radix` alone would accept a sign.
    let hexadecimal = unit.bytes().all(|digit| digit.is_ascii_hexdigit());
    hexadecimal
        .then(|| u32::from_str_radix(unit, 16).ok())?
        .map(|unit| (unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_unescaped() {
        let cases = [
            (r#""""#, ""),
            (r#""plain""#, "plain"),
            (r#""grüße""#, "grüße"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u0000\uffff""#, "Aé\0\u{ffff}"),
            (r#""x\ud83d\ude00y""#, "x😀y"),
            (r#""\\u0041""#, "\\u0041"),
        ];
        for (raw, text) in cases {
            assert_eq!(string(raw.as_bytes()).as_deref(), Some(text), "{raw}");
        }
    }

    #[test]
    fn a_string_without_escapes_is_borrowed() {
        assert!(matches!(string(b"\"plain\""), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn a_value_that_is_not_a_string_or_not_unicode_has_no_text() {
        let cases: &[&str] = &[
            "1",
            "null",
            "{}",
            "",
            "\"",
            "plain",
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800x""#,
            r#""\ud800\u0041""#,
            r#""\ud800\ud800""#,
            r#""\ud800\n""#,
            r#""\x""#,
            r#""\""#,
            r#""\u12""#,
            r#""\u+123""#,
            r#""\u00é""#,
        ];
        for raw in cases {
            assert_eq!(string(raw.as_bytes()), None, "{raw}");
        }
    }

    #[test]
    fn it_agrees_with_another_reader_on_every_utf16_unit() {
        for unit in 0..=u16::MAX {
            let raw = format!("\"a\\u{unit:04x}b\"");
            let theirs = serde_json::from_str::<String>(&raw).ok();
            assert_eq!(string(raw.as_bytes()).map(Cow::into_owned), theirs, "{raw}");
        }
    }
}
