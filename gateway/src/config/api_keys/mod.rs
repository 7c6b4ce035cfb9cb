//! API keys: the key files of the configuration, which list them by digest. [`line`](mod@line) is one key, [`file`](mod@file) a whole file, [`edit`] are the
//! changes that `mcp-gateway key` makes to it.

pub mod edit;
pub mod file;
pub mod line;
