//! Keys with a simple value: reading uses the range and the default of the declaration.

use std::{marker::PhantomData, ops::RangeInclusive, time::Duration};

use super::{
    key::{Fallback, Key, key},
    value::{Count, Flag, Place, Size, Time, Value, Word},
};
use crate::config::reading::reader::Section;

/// A key with a default.
pub(crate) struct Setting<V: Value> {
    name: &'static str,
    default: V::Read,
    value: V,
    sentence: &'static str,
}

impl<V: Value<Read: Clone>> Setting<V> {
    /// The value when the key is missing.
    pub(crate) fn default(&self) -> V::Read {
        self.default.clone()
    }

    /// The value in `section`; the default where it is missing or invalid.
    pub(crate) fn read(&self, section: &Section<'_>) -> V::Read {
        section
            .get(self.name)
            .and_then(|item| self.value.parse(&item))
            .unwrap_or_else(|| self.default())
    }

    /// The declaration of the key.
    pub(crate) fn key(&self) -> Key {
        let default = Fallback::Value(self.value.show(&self.default));
        key(self.name, self.value.kind(), default, self.sentence)
    }
}

/// A key without a fixed default: there is none, or it is computed.
pub(crate) struct Optional<V> {
    name: &'static str,
    default: &'static str,
    value: V,
    sentence: &'static str,
}

impl<V: Value> Optional<V> {
    /// The value when the key is missing.
    pub(crate) const fn default(&self) -> Option<V::Read> {
        None
    }

    /// The value in `section`; none where it is missing or invalid.
    pub(crate) fn read(&self, section: &Section<'_>) -> Option<V::Read> {
        self.value.parse(&section.get(self.name)?)
    }

    /// The declaration of the key.
    pub(crate) fn key(&self) -> Key {
        let default = Fallback::Words(self.default);
        key(self.name, self.value.kind(), default, self.sentence)
    }
}

/// A size in bytes.
pub(crate) const fn size(
    name: &'static str,
    default: usize,
    range: RangeInclusive<usize>,
    sentence: &'static str,
) -> Setting<Size> {
    let value = Size(range);
    Setting {
        name,
        default,
        value,
        sentence,
    }
}

/// A size in bytes; `default` describes the default in words.
pub(crate) const fn optional_size(
    name: &'static str,
    default: &'static str,
    range: RangeInclusive<usize>,
    sentence: &'static str,
) -> Optional<Size> {
    let value = Size(range);
    Optional {
        name,
        default,
        value,
        sentence,
    }
}

/// A whole number.
pub(crate) const fn count<T: ToString + TryFrom<usize>>(
    name: &'static str,
    default: T,
    range: RangeInclusive<usize>,
    sentence: &'static str,
) -> Setting<Count<T>> {
    let value = Count(range, PhantomData);
    Setting {
        name,
        default,
        value,
        sentence,
    }
}

/// A whole number; `default` describes the default in words.
pub(crate) const fn optional_count(
    name: &'static str,
    default: &'static str,
    range: RangeInclusive<usize>,
    sentence: &'static str,
) -> Optional<Count<usize>> {
    let value = Count(range, PhantomData);
    Optional {
        name,
        default,
        value,
        sentence,
    }
}

/// A duration.
pub(crate) const fn time(
    name: &'static str,
    default: Duration,
    range: RangeInclusive<Duration>,
    sentence: &'static str,
) -> Setting<Time> {
    let value = Time(range);
    Setting {
        name,
        default,
        value,
        sentence,
    }
}

/// A duration; `default` describes the default in words.
pub(crate) const fn optional_time(
    name: &'static str,
    default: &'static str,
    range: RangeInclusive<Duration>,
    sentence: &'static str,
) -> Optional<Time> {
    let value = Time(range);
    Optional {
        name,
        default,
        value,
        sentence,
    }
}

/// `true` or `false`.
pub(crate) const fn flag(
    name: &'static str,
    default: bool,
    sentence: &'static str,
) -> Setting<Flag> {
    let value = Flag;
    Setting {
        name,
        default,
        value,
        sentence,
    }
}

/// One of a few words.
pub(crate) const fn word<T: super::vocabulary::Vocabulary>(
    name: &'static str,
    default: T,
    sentence: &'static str,
) -> Setting<Word<T>> {
    let value = Word(PhantomData);
    Setting {
        name,
        default,
        value,
        sentence,
    }
}

/// A path in the file system; `default` describes the default in words.
pub(crate) const fn place(
    name: &'static str,
    default: &'static str,
    sentence: &'static str,
) -> Optional<Place> {
    let value = Place;
    Optional {
        name,
        default,
        value,
        sentence,
    }
}
