//! Random ids of 128 bits: of grants, interactions, sessions, registered clients.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// Bytes of an id.
pub const ID_BYTES: usize = 16;

/// The value of the hyphen in base64url.
const HYPHEN: u8 = 62;

/// An id of 128 random bits. It is not a secret: it names something, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id([u8; ID_BYTES]);

/// The text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 22 characters of base64url are expected")]
pub struct NotAnId;

impl Id {
    /// An id of bytes that the caller drew at random.
    pub const fn new(random: [u8; ID_BYTES]) -> Self {
        Self(random)
    }

    /// From 22 characters of base64url.
    ///
    /// # Errors
    /// [`NotAnId`].
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAnId)?;
        bytes.try_into().map(Self).map_err(|_| NotAnId)
    }

    /// Whether its text begins with a hyphen: a command line takes that for an option. Such ids are not made any more.
    pub const fn begins_with_hyphen(&self) -> bool {
        let [first, ..] = self.0;
        // The first six bits are the first character (RFC 4648 §5).
        first >> 2 == HYPHEN
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_knows_that_it_begins_with_a_hyphen() {
        let mut hyphens = 0;
        for first in 0..=u8::MAX {
            let mut bytes = [0; ID_BYTES];
            bytes[0] = first;
            let id = Id::new(bytes);
            let expected = id.to_string().starts_with('-');
            assert_eq!(id.begins_with_hyphen(), expected, "{id}");
            hyphens += u32::from(expected);
            assert_eq!(Id::parse(&id.to_string()), Ok(id));
        }
        assert_eq!(hyphens, 4);
    }

    #[test]
    fn an_id_is_read_as_it_is_written_and_only_so() {
        let id = Id::new([0xfe; ID_BYTES]);
        assert_eq!(Id::parse(&id.to_string()), Ok(id));
        for text in [
            "",
            "AAAA",
            "_v7-_v7-_v7-_v7-_v7-_g==",
            "/v7+/v7+/v7+/v7+/v7+/g",
            "_v7-_v7-_v7-_v7-_v7-_h",
        ] {
            assert_eq!(Id::parse(text), Err(NotAnId), "{text}");
        }
    }
}
