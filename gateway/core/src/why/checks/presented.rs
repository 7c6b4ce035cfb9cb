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
    let found = match (text.is_empty(), is_token) {
        (true, _) => "no text",
        (false, true) => "these alone",
        (false, false) => "others: a space, a quote, a line end?",
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

#[cfg(test)]
mod tests {
    use super::*;

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
