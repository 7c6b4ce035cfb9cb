//! How a log shows a value that a request had: in backticks, truncated, escaped, and without anything that may be a token.
//!
//! What a client sends may contain line ends, terminal commands, or characters that change the order of what follows. A log line
//! shows none of them as they are.

use std::fmt::{self, Write as _};

use crate::bytewise;

/// The longest value that is shown, in characters.
pub const MAX_FOUND: usize = 128;

/// The most values of a list that are shown.
pub const MAX_LISTED: usize = 10;

/// The longest word that is shown completely, in characters, where a longer one may be a token.
const MAX_WORD: usize = 32;

/// The characters of a longer word that are shown.
const WORD_BEGIN: usize = 8;

/// The text of a credential: how it begins, and how much more of it there is at least.
struct Credential {
    begin: &'static str,
    /// The last byte of the beginning.
    end: u8,
    /// What it is made of after its beginning.
    is_part: fn(u8) -> bool,
    /// The least number of bytes after its beginning.
    least: usize,
}

/// A part of a compact JSON Web Token, of which 16 characters are treated as one. It begins with `{"` in base64url.
const WEB_TOKEN: Credential = Credential {
    begin: "eyJ",
    end: b'J',
    is_part: is_base64url,
    least: 13,
};

/// An API key of the gateway.
const API_KEY: Credential = Credential {
    begin: "mgw_",
    end: b'_',
    is_part: is_alphanumeric,
    least: 16,
};

/// Says that something was left out.
const CUT: &str = "...";

/// A value that a request had.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a>(pub &'a str);

/// Several values, at most [`MAX_LISTED`].
#[derive(Clone, Debug)]
pub struct Listed<I>(pub I);

/// A word, such as a method or a scheme: a long one may be a token, and only its first characters are shown.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a>(pub &'a str);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = before_token(self.0);
        shown(f, head(value, MAX_FOUND), self.0)
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_short = head(self.0, MAX_WORD).len() == self.0.len();
        let length = if is_short { MAX_WORD } else { WORD_BEGIN };
        shown(f, head(before_token(self.0), length), self.0)
    }
}

impl<'a, I: Iterator<Item = &'a str> + Clone> fmt::Display for Listed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = self.0.clone();
        let Some(first) = values.next() else {
            return f.write_str("none");
        };
        Found(first).fmt(f)?;
        for value in values.by_ref().take(MAX_LISTED - 1) {
            write!(f, ", {}", Found(value))?;
        }
        match values.count() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Text in which no character can end a line, command a terminal or change the order of others.
pub fn escaped(text: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| text.chars().try_for_each(|character| escape(f, character)))
}

/// The part of a value before the text of a JSON Web Token or an API key, with the first characters of that.
pub fn before_token(value: &str) -> &str {
    before(before(value, &API_KEY), &WEB_TOKEN)
}

fn before<'a>(value: &'a str, credential: &Credential) -> &'a str {
    // One byte is found much faster than several, and most values do not have it.
    let is_end = |word| bytewise::is(word, credential.end);
    if !bytewise::any(value.as_bytes(), is_end) {
        return value;
    }
    let ends = value.match_indices(char::from(credential.end));
    let ends = ends.map(|(at, end)| at + end.len());
    let mut begun = ends.filter(|end| head_to(value, *end).ends_with(credential.begin));
    let has_rest = |end: &usize| {
        let rest = value.get(*end..).unwrap_or_default().bytes();
        rest.take_while(|byte| (credential.is_part)(*byte)).count() >= credential.least
    };
    begun
        .find(has_rest)
        .map_or(value, |end| head_to(value, end))
}

/// The first `length` characters.
pub fn head(value: &str, length: usize) -> &str {
    // A character has at least one byte.
    if value.len() <= length {
        return value;
    }
    let end = value.char_indices().nth(length);
    end.map_or(value, |(end, _)| head_to(value, end))
}

fn shown(f: &mut fmt::Formatter<'_>, part: &str, whole: &str) -> fmt::Result {
    f.write_char('`')?;
    for character in part.chars() {
        match character {
            '`' => f.write_str("\\u{60}")?,
            character => escape(f, character)?,
        }
    }
    f.write_char('`')?;
    match part.len() < whole.len() {
        true => f.write_str(CUT),
        false => Ok(()),
    }
}

/// Quotes stay: the log escapes them itself.
fn escape(f: &mut fmt::Formatter<'_>, character: char) -> fmt::Result {
    match character {
        '"' | '\'' => f.write_char(character),
        character => write!(f, "{}", character.escape_debug()),
    }
}

fn is_base64url(byte: u8) -> bool {
    is_alphanumeric(byte) || matches!(byte, b'-' | b'_')
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn head_to(value: &str, end: usize) -> &str {
    value.get(..end).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_in_backticks_and_cannot_leave_them() {
        for (value, expected) in [
            ("https://a.example/", "`https://a.example/`"),
            ("", "``"),
            ("two words \"quoted\"", "`two words \"quoted\"`"),
            ("a`b", "`a\\u{60}b`"),
            ("a\\b", "`a\\\\b`"),
            ("a\r\nlevel=ERROR", "`a\\r\\nlevel=ERROR`"),
            ("\u{1b}[31m\u{7f}\u{9b}", "`\\u{1b}[31m\\u{7f}\\u{9b}`"),
            ("a\u{202e}b\u{2066}", "`a\\u{202e}b\\u{2066}`"),
            ("\u{2028}\u{200b}\u{feff}", "`\\u{2028}\\u{200b}\\u{feff}`"),
            ("gr\u{f6}\u{df}e", "`gr\u{f6}\u{df}e`"),
        ] {
            assert_eq!(Found(value).to_string(), expected);
        }
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        let long = "\u{e4}".repeat(MAX_FOUND + 1);
        let expected = format!("`{}`...", "\u{e4}".repeat(MAX_FOUND));
        assert_eq!(Found(&long).to_string(), expected);
        let just = "x".repeat(MAX_FOUND);
        assert_eq!(Found(&just).to_string(), format!("`{just}`"));
    }

    #[test]
    fn the_text_of_a_token_is_never_shown() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        assert_eq!(Found(&format!("a {token}")).to_string(), "`a eyJ`...");
        assert_eq!(Word(token).to_string(), "`eyJ`...");
        let key = "mgw_0123456789ABCDEFGHIJKLMNOPQRST4PMbyp";
        assert_eq!(Found(&format!("a {key}")).to_string(), "`a mgw_`...");
        assert_eq!(
            Found("mgw_and more text").to_string(),
            "`mgw_and more text`"
        );
        assert_eq!(
            Found(&format!("mgw_a {key} b")).to_string(),
            "`mgw_a mgw_`..."
        );
        let opaque = "0123456789".repeat(4);
        assert_eq!(Word(&opaque).to_string(), "`01234567`...");
        assert_eq!(Word("PROPFIND").to_string(), "`PROPFIND`");
    }

    #[test]
    fn a_list_has_a_limit() {
        let listed = |values: &[&'static str]| Listed(values.iter().copied()).to_string();
        assert_eq!(listed(&[]), "none");
        assert_eq!(listed(&["a", "b"]), "`a`, `b`");
        let many = ["x"; MAX_LISTED + 2];
        assert!(
            listed(&many).ends_with(", `x` and 2 more"),
            "{}",
            listed(&many)
        );
        assert!(!listed(&many[..MAX_LISTED]).contains("more"));
    }

    #[test]
    fn other_text_is_escaped_too() {
        let text = "upstream said \"a\u{202e}\n\"";
        assert_eq!(escaped(text).to_string(), "upstream said \"a\\u{202e}\\n\"");
    }
}
