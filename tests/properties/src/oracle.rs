//! JSON as another parser reads it: serde_json finds the values, a walk over them checks what serde_json accepts.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object: its members in order, repeated ones too, their values raw.
pub(crate) struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl Members {
    /// The members of a document that is an object.
    pub(crate) fn of(document: &str) -> Option<Self> {
        serde_json::from_str(document).ok()
    }

    /// The raw value of the only member of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(own, _)| own == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} is there twice");
        Some(value.get())
    }

    /// The raw value of an optional member: null is none.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|raw| *raw != "null")
    }

    /// The text of the only member of this name, where it is one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Whether every reader sees the same in this document: well-formed, no name twice in one object, every name text, within
/// this depth and this number of members and elements.
pub(crate) fn is_strict(document: &[u8], depth: usize, members: usize) -> bool {
    let Ok(text) = std::str::from_utf8(document) else {
        return false;
    };
    let mut left = members;
    serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| walk(raw.get(), depth, &mut left))
}

fn walk(raw: &str, depth: usize, left: &mut usize) -> bool {
    match raw.as_bytes()[0] {
        b'{' => depth > 0 && walk_object(raw, depth, left),
        b'[' => depth > 0 && walk_array(raw, depth, left),
        _ => true,
    }
}

fn walk_object(raw: &str, depth: usize, left: &mut usize) -> bool {
    let Some(Members(members)) = Members::of(raw) else {
        return false;
    };
    let mut names = HashSet::new();
    members.iter().all(|(name, value)| {
        counts(left) && names.insert(name) && walk(value.get(), depth - 1, left)
    })
}

fn walk_array(raw: &str, depth: usize, left: &mut usize) -> bool {
    let elements: Vec<Box<RawValue>> = serde_json::from_str(raw).unwrap();
    elements
        .iter()
        .all(|element| counts(left) && walk(element.get(), depth - 1, left))
}

/// Whether one more member or element is within the limit.
fn counts(left: &mut usize) -> bool {
    let counted = left.checked_sub(1);
    *left = counted.unwrap_or_default();
    counted.is_some()
}
