//! Values of an upstream's answer as a detail shows them: short, on one line, and without what may be secret.

/// The longest value in a detail, in characters; a longer one is cut.
const MAX_SHOWN: usize = 80;

/// A value in one line: control characters and what is not text are escaped.
pub(super) fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut chars = text.chars();
    let mut shown: String = chars
        .by_ref()
        .take(MAX_SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A URL without user information, query and fragment, which may be secret.
pub(super) fn shown_url(value: &[u8]) -> String {
    let end = value.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let (url, rest) = value.split_at(end.unwrap_or(value.len()));
    // Browsers take a backslash for a slash.
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let begin = url.windows(2).position(|pair| pair.iter().all(is_slash));
    let begin = begin.map_or(0, |slashes| slashes + 2);
    let (scheme, url) = url.split_at(begin);
    let authority = url.iter().position(is_slash);
    let user = url
        .get(..authority.unwrap_or(url.len()))
        .and_then(|authority| authority.iter().rposition(|byte| *byte == b'@'))
        .filter(|_| begin > 0);
    let url = user.and_then(|at| url.get(at + 1..)).unwrap_or(url);
    let mut text = shown(&[scheme, url].concat());
    if rest.len() > 1 {
        text.push_str("?…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_one_short_line() {
        assert_eq!(shown(b"a\r\nb\x1b\xff"), "a\\r\\nb\\u{1b}\u{fffd}");
        let long = shown("ä".repeat(100).as_bytes());
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (url, expected) in [
            ("/mcp/", "/mcp/"),
            ("/mcp/@a", "/mcp/@a"),
            ("https://a.test/mcp/?state=1", "https://a.test/mcp/?…"),
            ("https://a.test/mcp/#x", "https://a.test/mcp/?…"),
            ("https://a.test/mcp?", "https://a.test/mcp"),
            (
                "https:\\\\user:secret@a.test/mcp",
                "https:\\\\\\\\a.test/mcp",
            ),
            ("https://user:secret@a.test/mcp", "https://a.test/mcp"),
            ("//user@a.test/@b", "//a.test/@b"),
            ("", ""),
        ] {
            assert_eq!(shown_url(url.as_bytes()), expected, "{url}");
        }
    }
}
