//! The connection to a Redis or Valkey server that several processes share: found directly or through Sentinel. The store of the
//! authorization server and shared rate limits each have one.
//!
//! [`link`] keeps the connection, [`servers`] finds the server, [`script`] is what is run there, [`answer`] reads what it says,
//! [`commands`] tries whether it runs what is needed, [`notes`] is what operators read, [`figures`] counts.

#[cfg(feature = "redis")]
pub(crate) mod answer;
#[cfg(feature = "redis")]
mod commands;
pub(crate) mod figures;
#[cfg(feature = "redis")]
pub(crate) mod link;
#[cfg(feature = "redis")]
mod notes;
#[cfg(feature = "redis")]
pub(crate) mod script;
#[cfg(feature = "redis")]
mod servers;
#[cfg(feature = "redis")]
#[cfg(test)]
pub(crate) mod testing;
#[cfg(feature = "redis")]
#[cfg(test)]
mod tests;
