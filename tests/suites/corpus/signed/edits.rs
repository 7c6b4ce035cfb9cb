//! What cases change: members of the objects that a token or a proof is made of, and its parts when it is signed.

use serde::Deserialize;
use serde_json::{Map, Value};
use test_support::{base64url, base64url_decode, with_members};

use crate::text;

/// A change of a signed text in three parts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Edit {
    /// Puts something after a part (0 header, 1 claims, 2 signature).
    Append(usize, String),
    /// Puts something in front of a part.
    Prepend(usize, String),
    /// Takes characters from the end of a part.
    Cut(usize, usize),
    /// Flips the lowest bit of one byte of a part, before it is encoded.
    Flip(usize, usize),
    /// Writes a whole part anew.
    Write(usize, String),
    /// Replaces all claims by these, under the signature of the others.
    Swap(String),
    /// Removes a part, with its dot.
    Remove(usize),
}

impl Edit {
    /// Makes the change.
    pub(crate) fn apply(&self, parts: &mut Vec<Vec<u8>>) {
        match self {
            Self::Append(part, more) => parts[*part].extend(text::bytes(more)),
            Self::Prepend(part, more) => {
                parts[*part].splice(..0, text::bytes(more));
            }
            Self::Cut(part, count) => {
                let left = parts[*part].len() - count;
                parts[*part].truncate(left);
            }
            Self::Flip(part, at) => {
                let mut bytes = base64url_decode(&parts[*part]);
                bytes[*at] ^= 1;
                parts[*part] = base64url(bytes).into_bytes();
            }
            Self::Write(part, anew) => parts[*part] = text::bytes(anew),
            Self::Swap(claims) => parts[1] = base64url(text::bytes(claims)).into_bytes(),
            Self::Remove(part) => {
                parts.remove(*part);
            }
        }
    }
}

/// An object with members changed or, where null, taken away. Texts are expanded.
pub(crate) fn changed(object: Value, members: &Map<String, Value>) -> Value {
    let expanded = members.iter().map(|(name, value)| {
        let value = match value.as_str() {
            Some(value) => text::text(value).into(),
            None => value.clone(),
        };
        (name.clone(), value)
    });
    with_members(object, expanded.collect())
}
