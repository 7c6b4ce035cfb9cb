//! Which characters a redirect URI may have at all, and what its escapes stand for.

use super::error::RedirectUriError;

/// Refuses what some programs remove, trim or turn into something else before they read a URI.
pub(super) fn check_plain(text: &str) -> Result<(), RedirectUriError> {
    let fault = text.chars().find_map(|character| match character {
        '\\' => Some(RedirectUriError::Backslash),
        character if character.is_control() => Some(RedirectUriError::Control),
        character if character.is_whitespace() => Some(RedirectUriError::Blank),
        character if !character.is_ascii() => Some(RedirectUriError::NotAscii(character)),
        _ => None,
    });
    fault.map_or(Ok(()), Err)
}

/// Refuses what is outside the characters of a URI (RFC 3986 §2), and wildcards.
pub(super) fn check_characters(text: &str) -> Result<(), RedirectUriError> {
    let fault = text.chars().find_map(|character| match character {
        '*' => Some(RedirectUriError::Wildcard),
        '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' => {
            Some(RedirectUriError::Character(character))
        }
        _ => None,
    });
    fault.map_or(Ok(()), Err)
}

/// A path or a query with its escapes decoded.
pub(super) fn decoded(text: &str) -> Result<String, RedirectUriError> {
    let bytes = bytes(text).ok_or(RedirectUriError::Escape)?;
    let decoded = String::from_utf8(bytes).map_err(|_| RedirectUriError::NotUtf8)?;
    if decoded.chars().any(char::is_control) {
        return Err(RedirectUriError::EncodedControl);
    }
    Ok(decoded)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, behind) = after.split_first_chunk::<2>()?;
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            bytes.push(u8::try_from(high? * 16 + low?).ok()?);
            rest = behind;
        } else {
            bytes.push(*first);
        }
    }
    Some(bytes)
}
