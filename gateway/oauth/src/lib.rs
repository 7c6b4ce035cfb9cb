//! The built-in authorization server's decisions, pure: values and an instant go in, values come out.
//!
//! Nothing here opens a socket, reads a clock or a file, draws a random number, writes a log or waits: the rim
//! (`gateway/src/authorization_server`) does. A change of state is a function over [`store::rows::Rows`], so that it runs in one
//! transaction of whatever store there is.
//!
//! A module names only those above it in this list (`gateway/tests/source_rules` enforces the order):
//!
//! * [`id`], [`secret`]: random ids, and texts that do not print. [`account`]: accounts that somebody else vouches for.
//!   [`proof_key`]: the key or certificate of a client that tokens are bound to.
//! * [`keys`]: the server's own keys: digests, tags, sealed texts, and the keys that sign access tokens. [`form`]: the parameters of a
//!   request.
//! * [`profile`]: what the server is: its issuer, its resources, its lifetimes. [`store`]: rows and tables. [`owner`]: who can allow
//!   something.
//! * [`redirect_uri`], [`client`]: who asks, and where answers may go. [`grant`]: what a user allowed.
//! * [`session`]: browsers that are signed in. [`federation`]: people who sign in with a provider. [`authorize`]: the authorization
//!   endpoint. [`trust`]: issuers beside this server. [`token`]: the token endpoint, revocation and introspection.
//! * [`discovery`]: the metadata documents. [`pages`]: what people see.

pub mod account;
pub mod authorize;
pub mod client;
pub mod discovery;
pub mod federation;
pub mod form;
pub mod grant;
pub mod id;
pub mod keys;
pub mod owner;
pub mod pages;
pub mod profile;
pub mod proof_key;
pub mod redirect_uri;
pub mod secret;
pub mod session;
pub mod store;
pub mod token;
pub mod trust;
