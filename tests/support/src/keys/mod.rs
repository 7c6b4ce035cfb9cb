//! Key pairs, the keys that issuers publish, and signatures by them.

pub mod key;
pub mod key_pair;
pub mod public_key;
pub mod signature;
