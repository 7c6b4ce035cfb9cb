//! The server's own keys. [`server_key`]: digests of secrets, tags of tokens, and texts that only the server can read.

mod server_key;

pub use server_key::{KeyId, Purpose, SECRET_BYTES, ServerKeys, TAG_BYTES, Tag};
