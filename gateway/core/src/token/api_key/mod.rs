//! API keys: credentials for machines and people without OAuth.
//!
//! [`text`] is the form of a key: prefix, random characters, checksum. [`entry`] is what the key file says of one key,
//! [`ring`] are all of them, and decides about a key that a request presents ([`presented`]). The file has only digests: nobody who reads it can call.

pub mod entry;
pub mod presented;
pub mod ring;
pub mod text;
