//! The declaration of a configuration key: everything that the JSON Schema, the documented example and the reference contain.
//! Keys form a tree, with the table of the document at its root.

use std::{ops::RangeInclusive, time::Duration};

use crate::config::reading::unit;

/// The keys of one mapping.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Its name in the JSON Schema.
    pub(crate) name: &'static str,
    /// In documentation order.
    pub(crate) keys: Vec<Key>,
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// As it is written, without the path above it.
    pub(crate) name: &'static str,
    /// Its type.
    pub(crate) kind: Kind,
    /// Its default.
    pub(crate) fallback: Fallback,
    /// What it does, in one or two sentences.
    pub(crate) sentence: String,
}

/// The type of a key, or of an element of its list.
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
    /// One of these words. The set has a name.
    Word(&'static str, Vec<&'static str>),
    /// A text, a whole number, or `true` or `false`.
    Scalar,
    /// A mapping with these keys.
    Table(Table),
    /// A text, or a mapping with these keys.
    TextOr(Table),
    /// A list.
    List(Box<Self>),
    /// A list, or a single element.
    OneOrMany(Box<Self>),
    /// A mapping from names that the operator chooses.
    Map(Box<Self>),
}

/// The default of a key.
#[derive(Clone, Debug)]
pub(crate) enum Fallback {
    /// None: the key is required, and its list must have an element.
    Required,
    /// This value, as written in the file.
    Value(String),
    /// Described in words: nothing, or a computed value.
    Words(&'static str),
    /// Described by the sentence or by the keys below.
    Unsaid,
}

impl Kind {
    /// The smallest and the largest value, as written in the file.
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
    /// The default in words; none where it is not declared here.
    pub(crate) fn words(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Words(words) => Some(words),
            Self::Required | Self::Unsaid => None,
        }
    }
}

/// A required key.
pub(crate) fn required(name: &'static str, kind: Kind, sentence: &str) -> Key {
    key(name, kind, Fallback::Required, sentence)
}

/// An optional key; its sentence describes the default.
pub(crate) fn optional(name: &'static str, kind: Kind, sentence: &str) -> Key {
    key(name, kind, Fallback::Unsaid, sentence)
}

/// An optional key; `default` describes the default in words.
pub(crate) fn defaulted(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    sentence: &str,
) -> Key {
    key(name, kind, Fallback::Words(default), sentence)
}

/// One or more texts, with a default.
pub(crate) fn text(name: &'static str, kind: Kind, default: &[&str], sentence: &str) -> Key {
    key(name, kind, Fallback::Value(default.join(", ")), sentence)
}

/// A key. Trims the sentence, which may come from a doc comment.
pub(super) fn key(name: &'static str, kind: Kind, fallback: Fallback, sentence: &str) -> Key {
    Key {
        name,
        kind,
        fallback,
        sentence: sentence.trim().to_owned(),
    }
}

/// A list of such elements.
pub(crate) fn list(element: Kind) -> Kind {
    Kind::List(Box::new(element))
}

/// A list of such elements, or a single one.
pub(crate) fn one_or_many(element: Kind) -> Kind {
    Kind::OneOrMany(Box::new(element))
}

/// A mapping from names to such values.
pub(crate) fn map(value: Kind) -> Kind {
    Kind::Map(Box::new(value))
}
