//! The built-in authorization server: the rim around the decisions of `mcp-gateway-oauth`, which are pure.
//!
//! * [`service`]: its endpoints, a service of the public listener. Each is a file of [`handlers`], which write [`answers`] and find
//!   [`clients`].
//! * [`server`]: what it has: [`settings`] of the configuration, and what lives as long as the process.
//! * [`store`] keeps its rows, in a file or on a server that several gateways share; [`control`] answers operators over a unix socket,
//!   by what [`operator`] does.
//! * [`keys`]: its key files, and the keys that sign access tokens. [`users`]: people who sign in with a password, [`providers`]: with
//!   whom others sign in.
//! * [`trust`]: tokens of other issuers, verified with their keys.
//! * [`documents`] fetches and keeps what clients publish, by the rules in [`foreign`]. [`intake`]: how much it takes on.
//! * [`tasks`]: what it does beside requests.
//! * [`revocations`]: grants that ended before their last access token expires, for the resources of this process.

mod answers;
mod clients;
pub(crate) mod control;
pub(crate) mod documents;
mod error;
mod foreign;
mod handlers;
mod intake;
mod keys;
mod operator;
pub(crate) mod providers;
pub(crate) mod revocations;
pub(crate) mod server;
mod service;
mod settings;
pub(crate) mod store;
pub(crate) mod tasks;
mod trust;
pub(crate) mod users;

pub(crate) use error::ServerError;
