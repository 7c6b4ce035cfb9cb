//! Resource URIs as servers read them.
//!
//! A rule compares texts; a server looks up what it makes of a text. Three readers cover what servers do: one compares the URI as
//! it was sent, one looks up what a URL parser writes (WHATWG URL: `new URL(uri)`, pydantic's `AnyUrl`), one decodes the path
//! ([`decoded()`], RFC 3986 §6.2.2). The parser itself says what the second one sees. A call is allowed only if every reading of its
//! URI is allowed, so it does not matter which of them the server is. Where parsers write a character in different ways, the
//! decoded reading is the same for all of them. What no reader can be trusted with is a [`UriFault`].

pub(crate) mod decoded;
pub(crate) mod plain;
mod reader;
pub(crate) mod spellings;

use url::Url;

use self::decoded::{Stars, decoded};
use self::plain::is_plain;
pub use self::reader::{Reading, UriFault};

/// The readings of one URI that differ from the URI as it was sent.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) others: Vec<(Reading, Box<str>)>,
    /// Why no URL parser reads it.
    pub(crate) unparsable: Option<url::ParseError>,
}

/// The readings of a URI. Decoded readings that are the same text as another one are among them if rules match them otherwise.
///
/// # Errors
/// [`UriFault`] if servers could read different resources in it.
pub(crate) fn readings(uri: &str, keep_decoded: bool) -> Result<Readings, UriFault> {
    let mut readings = Readings::default();
    if is_plain(uri) {
        if keep_decoded {
            readings.others.push((Reading::Decoded, uri.into()));
        }
        return Ok(readings);
    }
    let mut decoded = vec![decoded(uri, Stars::Encode)?];
    match Url::parse(uri) {
        Ok(parsed) => {
            decoded.push(decoded::decoded(parsed.as_str(), Stars::Encode)?);
            readings.add(uri, Reading::Parsed, parsed.as_str().into());
        }
        Err(error) => readings.unparsable = Some(error),
    }
    decoded.dedup();
    for text in decoded {
        match keep_decoded {
            true => readings.others.push((Reading::Decoded, text)),
            false => readings.add(uri, Reading::Decoded, text),
        }
    }
    Ok(readings)
}

impl Readings {
    fn add(&mut self, sent: &str, reading: Reading, text: Box<str>) {
        let is_known = *text == *sent || self.others.iter().any(|(_, own)| *own == text);
        if !is_known {
            self.others.push((reading, text));
        }
    }
}

#[cfg(test)]
mod tests;
