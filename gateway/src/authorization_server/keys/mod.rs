//! The keys of the authorization server, in files of its directory that nobody else can read.
//!
//! [`server_keys`] protects what the server gives out and keeps (codes, refresh tokens, cookies, digests); [`signing_keys`] signs access
//! tokens, [`shared_ring`] has these keys in a store that several processes share,
//! [`turning`] does what is due for them. [`private_file`] is how both are read and written.

mod private_file;
pub(crate) mod server_keys;
pub(crate) mod shared_ring;
pub(crate) mod signing_keys;
mod turning;

pub(crate) use private_file::{KeyFileError, KeyFileProblem};
