//! Sets of words, each with what it means.

use super::key::Kind;

/// A type whose values are words in the configuration.
pub(crate) trait Vocabulary: Copy + PartialEq + 'static {
    /// What the JSON Schema calls the set.
    const NAME: &'static str;

    /// Every word, with what it means.
    const WORDS: &'static [(&'static str, Self)];
}

/// What a key takes whose value is one of these words.
pub(crate) fn words<T: Vocabulary>() -> Kind {
    let words = T::WORDS.iter().map(|(word, _)| *word);
    Kind::Word(T::NAME, words.collect())
}

/// The word that means this.
pub(super) fn word_of<T: Vocabulary>(meaning: T) -> &'static str {
    let word = T::WORDS.iter().find(|(_, other)| *other == meaning);
    word.map_or("", |(word, _)| word)
}
