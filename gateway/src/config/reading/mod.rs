//! Reads the text of a configuration: the position of each key, then the values, with variables replaced. Every error is a
//! finding with its position. Nothing outside this folder and its neighbour `loading` names a YAML library.

pub(crate) mod environment;
pub(crate) mod finding;
pub(crate) mod key_path;
pub(crate) mod position;
pub(crate) mod positions;
pub(crate) mod reader;
pub(crate) mod text;
pub(crate) mod unit;
pub(crate) mod url;
pub(crate) mod values;
mod written;
