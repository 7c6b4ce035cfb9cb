//! The connection to a Redis or Valkey server that several processes share: found directly or through Sentinel. The store of the
//! authorization server and shared rate limits each have one.
//!
//! [`link`] keeps the connection, [`servers`] finds the server, [`script`] is what is run there, [`answer`] reads what it says,
//! [`figures`] counts.

#[cfg(feature = "redis")]
pub(crate) mod answer;
pub(crate) mod figures;
#[cfg(feature = "redis")]
pub(crate) mod link;
#[cfg(feature = "redis")]
pub(crate) mod script;
#[cfg(feature = "redis")]
mod servers;
#[cfg(feature = "redis")]
#[cfg(test)]
pub(crate) mod testing;
