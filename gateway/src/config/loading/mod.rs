//! Loads a configuration from a file with all files that it names, or from a text.

pub(crate) mod inputs;
pub(crate) mod parse;
pub(crate) mod source;
