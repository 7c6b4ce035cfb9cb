//! The name that a client gives itself. People see it on pages and operators in logs, so it must not be able to forge either.

/// The longest name that is kept, in characters.
pub const MAX_NAME_CHARS: usize = 80;

/// Stands for what was cut off.
const CUT: char = '…';

/// A name without characters that end a line, command a terminal, change the order of the text around them, or show nothing; white
/// space is one blank. None if nothing is left.
pub fn clean_name(name: &str) -> Option<String> {
    let visible: String = name
        .chars()
        .filter_map(|character| match character {
            _ if character.is_whitespace() || character.is_control() => Some(' '),
            _ if is_invisible(character) => None,
            _ => Some(character),
        })
        .collect();
    let words: Vec<&str> = visible.split(' ').filter(|word| !word.is_empty()).collect();
    let clean = words.join(" ");
    match clean.char_indices().nth(MAX_NAME_CHARS) {
        _ if clean.is_empty() => None,
        None => Some(clean),
        Some((end, _)) => {
            let mut cut: String = clean.get(..end).unwrap_or_default().to_owned();
            cut.push(CUT);
            Some(cut)
        }
    }
}

/// Characters that show nothing or change how others are shown (Unicode `Default_Ignorable_Code_Point`, `Bidi_Control`, and the
/// annotation characters).
const fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_what_people_see_and_nothing_else() {
        for (name, expected) in [
            ("Claude", Some("Claude")),
            ("  VS\tCode ", Some("VS Code")),
            ("Café Müller 日本", Some("Café Müller 日本")),
            ("<b>&\"'", Some("<b>&\"'")),
            (
                "a\n{\"level\":\"ERROR\"}\r\nb",
                Some("a {\"level\":\"ERROR\"} b"),
            ),
            ("a\u{1b}[31mb\u{7}", Some("a [31mb")),
            ("a\u{85}b\u{2028}c\u{2029}d", Some("a b c d")),
            ("abc\u{202e}fed\u{2066}", Some("abcfed")),
            ("a\u{200b}\u{feff}\u{ad}b", Some("ab")),
            ("a\u{e0041}b\u{3164}", Some("ab")),
            ("", None),
            (" \u{200b}\u{0}\n", None),
        ] {
            assert_eq!(clean_name(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut() {
        let exact = "ä".repeat(MAX_NAME_CHARS);
        assert_eq!(clean_name(&exact), Some(exact.clone()));
        assert_eq!(clean_name(&format!("{exact}b")), Some(format!("{exact}…")));
    }
}
