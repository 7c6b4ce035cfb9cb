//! A configuration as it is loaded: from a file with everything that the file names, or from a text.

pub(crate) mod inputs;
pub(crate) mod parse;
pub(crate) mod source;
