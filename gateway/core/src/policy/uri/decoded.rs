//! The reading of a server that decodes: one text for all URIs that name the same path (RFC 3986 §6.2.2).
//!
//! Everything is decoded once, a backslash is a slash, and empty segments are dropped, as file systems do. Then what cannot be
//! written literally is encoded again. What servers ignore when they look a resource up is left out: the user information, the case
//! of the host, the fragment, and of a file the query. So two URIs with the same reading reach the same resource, and an ordinary
//! URI is its own reading.

use super::reader::{UriFault, scheme};

/// Which bytes stay as they are, beside letters and digits: those of a segment (RFC 3986 §3.3, `pchar`), without `*`.
const OF_SEGMENTS: &[u8] = b"-._~!$&'()+,;=:@";

/// Those that may also be in an authority: an IPv6 address has brackets.
const OF_AUTHORITIES: &[u8] = b"[]";

/// Those that may also be in a query or a fragment.
const OF_QUERIES: &[u8] = b"/?";

/// What happens to a star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stars {
    /// In a URI it is a character like others. Encoded, it is never taken for the wildcard of a pattern.
    Encode,
    /// In a pattern it is a wildcard.
    Keep,
}

/// The URI as a server reads it that decodes.
///
/// # Errors
/// [`UriFault::DotSegments`] and [`UriFault::Control`].
pub(crate) fn decoded(uri: &str, stars: Stars) -> Result<Box<str>, UriFault> {
    let end_of_path = uri.find(['?', '#']).unwrap_or(uri.len());
    let (path, rest) = uri.split_at(end_of_path);
    let mut writer = Writer {
        text: String::with_capacity(uri.len()),
        stars,
    };
    let (is_file, path) = writer.begin(path);
    writer.path(&decode(path), is_file)?;
    let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let length = writer.text.len();
    writer.after_path(query)?;
    if is_file {
        writer.text.truncate(length);
    }
    let length = writer.text.len();
    writer.after_path(fragment)?;
    writer.text.truncate(length);
    Ok(writer.text.into())
}

struct Writer {
    text: String,
    stars: Stars,
}

impl Writer {
    /// Writes the scheme. Returns whether it is `file`, and what follows it.
    fn begin<'a>(&mut self, uri: &'a str) -> (bool, &'a str) {
        if let Some((scheme, rest)) = scheme(uri) {
            self.text.push_str(&scheme.to_ascii_lowercase());
            self.text.push(':');
            return (scheme.eq_ignore_ascii_case("file"), rest);
        }
        // A pattern for several schemes.
        match uri.find("://") {
            Some(end) => {
                let (scheme, rest) = uri.split_at(end + 1);
                self.text.push_str(scheme);
                (false, rest)
            }
            None => (false, uri),
        }
    }

    fn path(&mut self, path: &[u8], is_file: bool) -> Result<(), UriFault> {
        if path.iter().any(u8::is_ascii_control) {
            return Err(UriFault::Control);
        }
        let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
        // A server may split at colons too, as in `urn:`, or remove spaces.
        if path
            .split(|byte| is_slash(byte) || *byte == b':')
            .any(is_dots)
        {
            return Err(UriFault::DotSegments);
        }
        let mut path = path;
        let has_authority = matches!(path, [one, two, ..] if is_slash(one) && is_slash(two));
        if has_authority {
            self.text.push_str("//");
            path = path.get(2..).unwrap_or_default();
            let end = path.iter().position(is_slash).unwrap_or(path.len());
            let (authority, rest) = path.split_at(end);
            let host = authority.rsplit(|byte| *byte == b'@').next();
            let host = host.unwrap_or_default().to_ascii_lowercase();
            self.encode(&host, OF_AUTHORITIES);
            path = rest;
        }
        if path.first().is_some_and(is_slash) {
            self.text.push('/');
        }
        let mut segments = path
            .split(is_slash)
            .filter(|segment| !segment.is_empty())
            .peekable();
        let is_folder = segments.peek().is_some() && path.last().is_some_and(is_slash);
        let mut is_first = true;
        while let Some(segment) = segments.next() {
            match segment {
                // A drive, in the spelling that URL parsers replace (WHATWG URL, *Windows drive letter*).
                [letter, b'|'] if is_file && is_first && letter.is_ascii_alphabetic() => {
                    self.encode(&[*letter, b':'], &[]);
                }
                _ => self.encode(segment, &[]),
            }
            is_first = false;
            if segments.peek().is_some() || is_folder {
                self.text.push('/');
            }
        }
        Ok(())
    }

    /// Writes a query or a fragment with the character that begins it.
    fn after_path(&mut self, part: &str) -> Result<(), UriFault> {
        let mut characters = part.chars();
        if let Some(begin) = characters.next() {
            let content = decode(characters.as_str());
            if content.contains(&0) {
                return Err(UriFault::Control);
            }
            self.text.push(begin);
            self.encode(&content, OF_QUERIES);
        }
        Ok(())
    }

    fn encode(&mut self, bytes: &[u8], further: &[u8]) {
        for byte in bytes {
            let is_literal = byte.is_ascii_alphanumeric()
                || OF_SEGMENTS.contains(byte)
                || further.contains(byte)
                || (*byte == b'*' && self.stars == Stars::Keep);
            if is_literal {
                self.text.push(char::from(*byte));
                continue;
            }
            self.text.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
                self.text.push(digit.to_ascii_uppercase());
            }
        }
    }
}

/// Decodes every `%` that two hexadecimal digits follow.
fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let code = match (first, behind) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => decoded.push(*first),
        }
    }
    decoded
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// `.` and `..`, with or without parameters after them.
fn is_dots(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next();
    matches!(name.map(<[u8]>::trim_ascii), Some(b"." | b".."))
}
