//! Sets of words, each with its meaning.

use super::key::Kind;

/// A type whose values are words in the configuration.
pub(crate) trait Vocabulary: Copy + PartialEq + 'static {
    /// The name of the set in the JSON Schema.
    const NAME: &'static str;

    /// Every word, with its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

/// The type of a key whose value is one of these words.
pub(crate) fn words<T: Vocabulary>() -> Kind {
    let words = T::WORDS.iter().map(|(word, _)| *word);
    Kind::Word(T::NAME, words.collect())
}

/// The word with this meaning.
pub(super) fn word_of<T: Vocabulary>(meaning: T) -> &'static str {
    let word = T::WORDS.iter().find(|(_, other)| *other == meaning);
    word.map_or("", |(word, _)| word)
}
