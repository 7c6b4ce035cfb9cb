//! Simple values: the type, the range and the notation of each.

use std::{marker::PhantomData, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    key::Kind,
    vocabulary::{Vocabulary, word_of, words},
};
use crate::config::reading::{reader::Item, unit};

/// How one kind of value is read and written.
pub(crate) trait Value {
    /// The type that it is read into.
    type Read;

    /// Its declared type.
    fn kind(&self) -> Kind;

    /// Reads it. An invalid value is a finding.
    fn parse(&self, item: &Item<'_>) -> Option<Self::Read>;

    /// The value, as written in the file.
    fn show(&self, read: &Self::Read) -> String;
}

/// A size with its unit, read in bytes.
pub(crate) struct Size(pub(super) RangeInclusive<usize>);

impl Value for Size {
    type Read = usize;

    fn kind(&self) -> Kind {
        Kind::Size(self.0.clone())
    }

    fn parse(&self, item: &Item<'_>) -> Option<usize> {
        item.size(&self.0)
    }

    fn show(&self, bytes: &usize) -> String {
        unit::show_size(*bytes)
    }
}

/// A whole number.
pub(crate) struct Count<T>(pub(super) RangeInclusive<usize>, pub(super) PhantomData<T>);

impl<T: ToString + TryFrom<usize>> Value for Count<T> {
    type Read = T;

    fn kind(&self) -> Kind {
        Kind::Count(self.0.clone())
    }

    fn parse(&self, item: &Item<'_>) -> Option<T> {
        T::try_from(item.count(&self.0)?).ok()
    }

    fn show(&self, count: &T) -> String {
        count.to_string()
    }
}

/// A duration with its unit.
pub(crate) struct Time(pub(super) RangeInclusive<Duration>);

impl Value for Time {
    type Read = Duration;

    fn kind(&self) -> Kind {
        Kind::Time(self.0.clone())
    }

    fn parse(&self, item: &Item<'_>) -> Option<Duration> {
        item.duration(&self.0)
    }

    fn show(&self, duration: &Duration) -> String {
        unit::show_duration(*duration)
    }
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Value for Flag {
    type Read = bool;

    fn kind(&self) -> Kind {
        Kind::Flag
    }

    fn parse(&self, item: &Item<'_>) -> Option<bool> {
        item.flag()
    }

    fn show(&self, flag: &bool) -> String {
        flag.to_string()
    }
}

/// One of a few words.
pub(crate) struct Word<T>(pub(super) PhantomData<T>);

impl<T: Vocabulary> Value for Word<T> {
    type Read = T;

    fn kind(&self) -> Kind {
        words::<T>()
    }

    fn parse(&self, item: &Item<'_>) -> Option<T> {
        item.choice(T::WORDS)
    }

    fn show(&self, meaning: &T) -> String {
        word_of(*meaning).to_owned()
    }
}

/// A path in the file system, relative to the directory of the configuration.
pub(crate) struct Place;

impl Value for Place {
    type Read = PathBuf;

    fn kind(&self) -> Kind {
        Kind::Text
    }

    fn parse(&self, item: &Item<'_>) -> Option<PathBuf> {
        item.path()
    }

    fn show(&self, path: &PathBuf) -> String {
        path.display().to_string()
    }
}
