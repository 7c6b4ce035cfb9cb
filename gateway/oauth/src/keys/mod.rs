//! The server's own keys. [`ServerKeys`]: digests of secrets, tags of tokens, and texts that only the server can read.
//! [`signing_key`]: a key that signs access tokens. [`ring`]: those keys one after another, on a schedule.

pub mod ring;
mod server_key;
pub mod signing_key;

pub use server_key::{KeyId, Purpose, SECRET_BYTES, ServerKeys, TAG_BYTES, Tag};
