//! What a log line may show of a value that a client sent.
//!
//! Values are shortened, and truncated before anything that may be a token: clients send tokens in any place.

use std::borrow::Cow;

use mcp_gateway_core::{
    bytewise,
    mcp::envelope::has_control,
    refusal::found::{before_token, escaped, head},
};

/// The longest name, subject or path in a line, in characters.
const FIELD_LENGTH: usize = 256;

/// The longest detail in a line, in characters: several values, with those that are accepted.
const DETAIL_LENGTH: usize = 1024;

/// The longest segment of an unknown path, or unknown method, that is shown completely, in characters; the longest in a
/// well-known path has 26.
const WORD_LENGTH: usize = 32;
const WORD_SHOWN: usize = 8;

/// A value truncated to [`FIELD_LENGTH`] characters, and before the first part that looks like a JSON Web Token.
pub(crate) fn redact(value: &str) -> &str {
    before_token(head(value, FIELD_LENGTH))
}

/// A detail truncated to [`DETAIL_LENGTH`] characters. What a client sent is in it as [`Found`](mcp_gateway_core::refusal::found::Found);
/// the texts of other errors get the same care: no token, and no character that changes how others are shown.
pub(crate) fn redact_detail(detail: &str) -> Cow<'_, str> {
    let shown = before_token(head(detail, DETAIL_LENGTH));
    match shown.is_ascii() || !has_control(shown) {
        true => Cow::Borrowed(shown),
        false => Cow::Owned(escaped(shown).to_string()),
    }
}

/// The name of a tool, prompt or resource. A resource's name is a URI; its query is left out, like that of a request, and its
/// fragment.
pub(crate) fn redact_name(name: &str) -> &str {
    let ends = |word| bytewise::is(word, b'?') | bytewise::is(word, b'#');
    let end = match bytewise::any(name.as_bytes(), ends) {
        true => name.find(['?', '#']),
        false => None,
    };
    redact(end.map_or(name, |end| head_to(name, end)))
}

/// A path that no resource has. A long segment may be an opaque token, so only its first characters are shown.
pub(crate) fn redact_unknown_path(path: &str) -> &str {
    let mut begin = 0;
    for segment in path.split('/') {
        let shown = redact_word(segment);
        if shown.len() < segment.len() {
            return redact(head_to(path, begin + shown.len()));
        }
        begin += segment.len() + 1;
    }
    redact(path)
}

/// A word from the client, such as an unknown HTTP method: only its first characters if it is long.
pub(crate) fn redact_word(word: &str) -> &str {
    if head(word, WORD_LENGTH).len() < word.len() {
        head(word, WORD_SHOWN)
    } else {
        word
    }
}

fn head_to(value: &str, end: usize) -> &str {
    value.get(..end).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_be_tokens_are_not_shown() {
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        let cases = [
            (format!("/{token}"), "/eyJ"),
            (format!("a{token}"), "aeyJ"),
            ("eyJ is how JSON begins".into(), "eyJ is how JSON begins"),
            (format!("eyJ eyJ{}", "x".repeat(13)), "eyJ eyJ"),
            ("create_task".into(), "create_task"),
        ];
        for (value, expected) in cases {
            assert_eq!(redact(&value), expected);
        }
        assert_eq!(
            redact_name("https://a.example/b?key=c"),
            "https://a.example/b"
        );
        assert_eq!(
            redact_name("https://a.example/b#key=c"),
            "https://a.example/b"
        );
        let opaque = "0123456789".repeat(4);
        let cases = [
            (format!("/mcp/{opaque}/x"), "/mcp/01234567"),
            (
                format!("/{}", &opaque[..32]),
                &format!("/{}", &opaque[..32]),
            ),
            ("/ä".repeat(3), "/ä/ä/ä"),
            (
                format!("/{}", "ä".repeat(40)),
                &format!("/{}", "ä".repeat(8)),
            ),
            (String::new(), ""),
        ];
        for (path, expected) in cases {
            assert_eq!(redact_unknown_path(&path), expected);
        }
    }

    #[test]
    fn a_detail_is_longer_and_has_no_character_that_changes_others() {
        let long = "x".repeat(DETAIL_LENGTH + 1);
        assert_eq!(redact_detail(&long).len(), DETAIL_LENGTH);
        let token = "refused: eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        assert_eq!(redact_detail(token), "refused: eyJ");
        assert_eq!(
            redact_detail("a\u{202e}b\u{2028}c\u{9b}"),
            "a\\u{202e}b\\u{2028}c\\u{9b}"
        );
        assert_eq!(redact_detail("gr\u{f6}\u{df}e"), "gr\u{f6}\u{df}e");
    }

    #[test]
    fn long_values_are_truncated_at_a_character() {
        let long = "ä".repeat(FIELD_LENGTH + 10);
        assert_eq!(redact(&long).chars().count(), FIELD_LENGTH);
        assert_eq!(redact("short"), "short");
    }
}
