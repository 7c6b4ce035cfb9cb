//! What is declared of a configuration key: everything that the JSON Schema, the documented example and a reference say of
//! it. Keys form a tree, with the document's table at its root.

use std::{ops::RangeInclusive, time::Duration};

use crate::config::reading::unit;

/// The keys of one mapping.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// What the JSON Schema calls it.
    pub(crate) name: &'static str,
    /// In the order in which they are documented.
    pub(crate) keys: Vec<Key>,
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// As it is written, without the path above it.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// What holds without it.
    pub(crate) fallback: Fallback,
    /// What it is for, in one or two sentences.
    pub(crate) sentence: String,
}

/// What a key, or an element of its list, takes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Count(RangeInclusive<usize>),
    /// A size with its unit, here in bytes.
    Size(RangeInclusive<usize>),
    /// A duration with its unit.
    Time(RangeInclusive<Duration>),
    /// One of these words; the set has a name.
    Word(&'static str, Vec<&'static str>),
    /// A text, a whole number, or `true` or `false`.
    Scalar,
    /// A mapping with these keys.
    Table(Table),
    /// A text, or a mapping with these keys.
    TextOr(Table),
    /// A list.
    List(Box<Self>),
    /// A list, or its only element.
    OneOrMany(Box<Self>),
    /// A mapping from names that the operator chooses.
    Map(Box<Self>),
}

/// What holds where a key is missing.
#[derive(Clone, Debug)]
pub(crate) enum Fallback {
    /// Nothing: the key must be there, and a list below it must have an element.
    Required,
    /// This value, as it would be written.
    Value(String),
    /// What these words say: nothing, or something that is computed.
    Words(&'static str),
    /// What the sentence says, or what the keys below say.
    Unsaid,
}

impl Kind {
    /// The least and the greatest value, as they are written.
    pub(crate) fn range(&self) -> Option<(String, String)> {
        let both = |show: &dyn Fn(usize) -> String, range: &RangeInclusive<usize>| {
            (show(*range.start()), show(*range.end()))
        };
        match self {
            Self::Count(range) => Some(both(&|count| count.to_string(), range)),
            Self::Size(range) => Some(both(&unit::show_size, range)),
            Self::Time(range) => Some((
                unit::show_duration(*range.start()),
                unit::show_duration(*range.end()),
            )),
            _ => None,
        }
    }
}

impl Fallback {
    /// The default in words; none where it is not said here.
    pub(crate) fn words(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Words(words) => Some(words),
            Self::Required | Self::Unsaid => None,
        }
    }
}

/// A key that must be there.
pub(crate) fn required(name: &'static str, kind: Kind, sentence: &str) -> Key {
    key(name, kind, Fallback::Required, sentence)
}

/// A key that may be left out; its sentence says what holds then.
pub(crate) fn optional(name: &'static str, kind: Kind, sentence: &str) -> Key {
    key(name, kind, Fallback::Unsaid, sentence)
}

/// A key that may be left out; `default` says in words what holds then.
pub(crate) fn defaulted(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    sentence: &str,
) -> Key {
    key(name, kind, Fallback::Words(default), sentence)
}

/// A text, or one or more of them, with a default.
pub(crate) fn text(name: &'static str, kind: Kind, default: &[&str], sentence: &str) -> Key {
    key(name, kind, Fallback::Value(default.join(", ")), sentence)
}

/// A key. The lines of a sentence are one.
pub(super) fn key(name: &'static str, kind: Kind, fallback: Fallback, sentence: &str) -> Key {
    Key {
        name,
        kind,
        fallback,
        sentence: sentence.trim().to_owned(),
    }
}

/// A list of such.
pub(crate) fn list(element: Kind) -> Kind {
    Kind::List(Box::new(element))
}

/// A list of such, or the only one.
pub(crate) fn one_or_many(element: Kind) -> Kind {
    Kind::OneOrMany(Box::new(element))
}

/// A mapping from names to such.
pub(crate) fn map(value: Kind) -> Kind {
    Kind::Map(Box::new(value))
}
