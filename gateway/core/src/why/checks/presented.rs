//! The checks of every token, before its kind is known: can a request have it at all?

use super::check::Check;
use crate::refusal::reason::Reason;
use crate::token::bearer::BearerToken;

/// The checks of a text as a bearer token of at most `max_bytes` bytes.
pub fn of_text(text: &str, max_bytes: usize) -> Vec<Check> {
    let size = match text.len() <= max_bytes {
        true => Ok(()),
        false => Err(Reason::TokenTooLarge),
    };
    let is_token = BearerToken::parse(text, usize::MAX).is_some();
    let characters = match is_token {
        true => Ok(()),
        false => Err(Reason::MalformedCredentials),
    };
    let found = match is_token {
        true => "no others",
        false => stranger(text),
    };
    vec![
        Check::new(
            "size",
            format!("{max_bytes} bytes at most (limits.token_bytes)"),
            format!("{} bytes", text.len()),
            Some(size),
        ),
        Check::new(
            "characters",
            "letters, digits and -._~+/, then = (RFC 9110 §11.2)",
            found,
            Some(characters),
        ),
    ]
}

/// What is the first thing in this text that a token does not have. The text itself may be secret.
fn stranger(text: &str) -> &'static str {
    let is_own = |c: &char| c.is_ascii_alphanumeric() || "-._~+/=".contains(*c);
    match text.chars().find(|c| !is_own(c)) {
        None if text.is_empty() => "no text",
        None => "= before the end",
        Some(' ') => "a space: is the token there alone, without `Bearer `?",
        Some('"' | '\'' | '`') => "a quote: is the token there alone?",
        Some('\n' | '\r') => "a line end: is there more than one token?",
        Some(_) => "another character",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_character_that_a_token_does_not_have_is_named() {
        for (text, expected) in [
            ("abc", "no others"),
            ("", "no text"),
            ("Bearer a.b.c", "a space"),
            ("'a.b.c'", "a quote"),
            ("a.b.c\na.b.c", "a line end"),
            ("a=b", "= before the end"),
            ("a\u{e4}", "another character"),
        ] {
            let checks = of_text(text, 100);
            assert!(checks[1].found.starts_with(expected), "{:?}", checks[1]);
        }
    }

    #[test]
    fn a_text_that_no_header_can_have_is_refused() {
        let long = "a".repeat(11);
        for (text, expected) in [
            ("a.b-c==", vec![]),
            ("", vec![Reason::MalformedCredentials]),
            ("a b", vec![Reason::MalformedCredentials]),
            ("\"a\"", vec![Reason::MalformedCredentials]),
            ("a\nb", vec![Reason::MalformedCredentials]),
            (&*long, vec![Reason::TokenTooLarge]),
        ] {
            let checks = of_text(text, 10);
            let refused = checks.iter().filter_map(Check::refusal);
            assert_eq!(refused.collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
