//! Texts of others as people see them: not longer than fits, and without characters that hide something or change the order of what
//! is around them (Unicode TR 36, 2.9). The templates escape the rest.

use crate::session::user::is_visible;

/// The longest name, in characters.
pub const MAX_NAME: usize = 60;

/// The longest id, URI or detail.
pub const MAX_TEXT: usize = 160;

/// The longest detail for operators and makers of clients.
pub const MAX_DETAIL: usize = 600;

/// The longest description of a scope.
pub const MAX_DESCRIPTION: usize = 200;

/// Marks on one character; more of them reach into the lines around it.
const MAX_MARKS: usize = 3;

/// A text as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The text; a hidden character is `[U+202E]`, and what was cut is `…`.
    pub text: String,
    /// Whether it has hidden characters.
    pub has_hidden: bool,
}

/// A text of others, cut after `most` characters; none if nothing of it is visible.
pub fn shown(text: &str, most: usize) -> Option<Shown> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let mut shown = Shown {
        text: String::new(),
        has_hidden: false,
    };
    let mut marks = 0;
    for character in text.chars().take(most) {
        marks = if is_mark(character) { marks + 1 } else { 0 };
        shown.push(character, marks);
    }
    if text.chars().nth(most).is_some() {
        shown.text.push('…');
    }
    Some(shown)
}

/// [`shown`], as a text.
pub fn shown_text(text: &str, most: usize) -> String {
    shown(text, most).map_or_else(String::new, |shown| shown.text)
}

impl Shown {
    fn push(&mut self, character: char, marks: usize) {
        if is_visible(character) && marks <= MAX_MARKS {
            self.text.push(character);
        } else {
            self.has_hidden = true;
            let number = u32::from(character);
            self.text.push_str(&format!("[U+{number:04X}]"));
        }
    }
}

/// Whether it is drawn onto the character before it: those are escaped at the beginning of a text only.
fn is_mark(character: char) -> bool {
    is_visible(character) && character.escape_debug().count() > 2
}

/// A time as people say it, rounded up.
pub fn shown_time(seconds: u64) -> String {
    match seconds {
        0 | 1 => "1 second".to_owned(),
        2..=99 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown_and_long_texts_are_cut() {
        for (text, expected, has_hidden) in [
            ("Claude", "Claude", false),
            ("  Claude\n", "Claude", false),
            (
                "Cl\u{e4}ude \"x\" \\ <b>",
                "Cl\u{e4}ude \"x\" \\ <b>",
                false,
            ),
            ("a\u{202e}b", "a[U+202E]b", true),
            (
                "a\u{2066}\u{200b}\u{feff}",
                "a[U+2066][U+200B][U+FEFF]",
                true,
            ),
            ("a\nb\tc\u{1b}", "a[U+000A]b[U+0009]c[U+001B]", true),
            ("a\u{a0}b\u{3164}", "a[U+00A0]b[U+3164]", true),
            ("\u{e01}\u{e34}\u{e48}", "\u{e01}\u{e34}\u{e48}", false),
            (
                "e\u{301}\u{301}\u{301}\u{301}",
                "e\u{301}\u{301}\u{301}[U+0301]",
                true,
            ),
            ("\u{e0041}", "[U+E0041]", true),
            ("12345678901234567", "1234567890123456…", false),
        ] {
            let shown = shown(text, 16).unwrap();
            assert_eq!(shown.text, expected);
            assert_eq!(shown.has_hidden, has_hidden, "{text:?}");
        }
        assert_eq!(shown("", 10), None);
        assert_eq!(shown(" \n\u{3000}", 10), None);
    }

    #[test]
    fn a_time_is_rounded_up() {
        for (seconds, expected) in [
            (0, "1 second"),
            (1, "1 second"),
            (32, "32 seconds"),
            (100, "2 minutes"),
            (900, "15 minutes"),
            (901, "16 minutes"),
        ] {
            assert_eq!(shown_time(seconds), expected);
        }
    }
}
