//! A configuration's text, read: where each key stands, values one by one, variables put in, and everything that is wrong
//! as a finding at its place. Nothing outside this folder and its neighbour `loading` names a YAML library.

pub(crate) mod environment;
pub(crate) mod finding;
pub(crate) mod key_path;
pub(crate) mod position;
pub(crate) mod positions;
pub(crate) mod reader;
pub(crate) mod text;
pub(crate) mod unit;
pub(crate) mod url;
mod written;
