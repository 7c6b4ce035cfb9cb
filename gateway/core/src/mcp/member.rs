//! Reading one member of a message strictly.

use std::borrow::Cow;

use crate::json::{OutlineValue, names::look_alike};
use crate::refusal::{fault::Fault, reason::Reason};

/// The longest name, URI or task id that is accepted, in bytes: patterns are matched against them.
pub const MAX_NAME: usize = 8 * 1024;

/// A name without control characters.
///
/// # Errors
/// [`Reason::AmbiguousName`] for a name with one: some programs drop it, for others the name ends there.
pub(crate) fn plain_name<T: AsRef<str>>(name: T) -> Result<T, Fault> {
    if !has_control(name.as_ref()) {
        return Ok(name);
    }
    let found = name.as_ref().chars().find(|one| is_control(*one));
    let found = u32::from(found.unwrap_or_default());
    let detail = format!("a name has the character U+{found:04X}");
    Err(Fault::new(Reason::AmbiguousName, detail))
}

/// A message that is not what the specification says, with what was found.
pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Reason::InvalidRequest, detail)
}

/// A member that is not Unicode text.
pub(crate) fn not_text(member: &str) -> Fault {
    invalid(format!("{member} is not a string of Unicode text"))
}

/// A text beyond its limit, which cannot be configured.
pub(crate) fn too_long(what: &str, bytes: usize, most: usize) -> Fault {
    Fault::limit(
        Reason::InvalidRequest,
        format!("{what} has {bytes} bytes, more than {most} (a fixed limit)"),
    )
}

/// More of something than the limit, which cannot be configured.
pub(crate) fn too_many(what: &str, found: usize, most: usize) -> Fault {
    Fault::limit(
        Reason::InvalidRequest,
        format!("{what} has {found} elements, more than {most} (a fixed limit)"),
    )
}

/// An object with names that readers confuse.
pub(crate) fn confusing(what: &str) -> Fault {
    let detail = format!("{what} has member names that readers confuse");
    Fault::new(Reason::AmbiguousJson, detail)
}

/// The same for the name of a method, which has no white space either: some programs ignore it at the ends.
///
/// # Errors
/// [`Reason::AmbiguousName`].
pub(crate) fn plain_method<T: AsRef<str>>(name: T) -> Result<T, Fault> {
    if name.as_ref().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(name);
    }
    let is_space = |character: char| character.is_whitespace() || character == '\u{feff}';
    match name.as_ref().contains(is_space) {
        true => Err(Fault::new(
            Reason::AmbiguousName,
            "the method has white space",
        )),
        false => plain_name(name),
    }
}

/// Whether a name has a control character (Unicode `Cc`), a line or paragraph separator, or a character that changes the
/// direction of the text around it (Unicode TR9, `Bidi_Control`): no name needs them, and logs show it in another order.
pub fn has_control(name: &str) -> bool {
    // Separators begin with E2, controls beyond ASCII with C2, the Arabic letter mark with D8.
    let may_have = |byte: u8| byte.is_ascii_control() || matches!(byte, 0xc2 | 0xd8 | 0xe2);
    name.bytes().any(may_have) && name.chars().any(is_control)
}

fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A member that, if present and not null, must be an object without look-alike names. `member` is one of those that the envelope opens
/// (its `READ`): of any other object no names are known here.
///
/// # Errors
/// [`Reason::InvalidRequest`] if it is not an object, [`Reason::AmbiguousJson`] if two readers could read it differently.
pub(crate) fn object<'o, 'a>(
    object: OutlineValue<'o, 'a>,
    member: &str,
    known: &[&str],
) -> Result<Option<OutlineValue<'o, 'a>>, Fault> {
    match object.given(member) {
        None => Ok(None),
        Some(inner) if !inner.is_object() => Err(invalid(format!("{member} is not an object"))),
        Some(inner) if look_alike::ambiguous_members(inner, known) => Err(confusing(member)),
        inner => Ok(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_found_and_other_characters_are_not() {
        for name in [
            "wipe\0",
            "\twipe",
            "wi\npe",
            "wipe\r",
            "\u{1b}[2J",
            "wipe\u{7f}",
            "wipe\u{85}",
            "\u{9b}",
            "a\u{2028}",
            "a\u{2029}",
            "a\u{202e}b",
            "\u{202a}",
            "\u{2066}a",
            "a\u{2069}",
            "a\u{200e}",
            "\u{200f}a",
            "a\u{61c}",
        ] {
            assert!(has_control(name), "{name:?}");
        }
        for name in [
            "create_task",
            "two words",
            " a ",
            "gr\u{f6}\u{df}e",
            "\u{524a}\u{9664}",
            "a\u{a0}b",
            "a\u{200d}b",
            "\u{2027}\u{202f}",
            "\u{e9}\u{301}",
            "\u{1f600}",
            "",
        ] {
            assert!(!has_control(name), "{name:?}");
        }
    }
}
