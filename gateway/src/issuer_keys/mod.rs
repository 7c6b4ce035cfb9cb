//! The keys that tokens are verified with: each issuer's [`keys`], refreshed by [`refresher`]. The verification itself is in
//! the core.
//!
//! [`key_fetcher`] fetches them from the configured source, or from where [`discovery`] finds them; [`fetch_pause`] is the
//! time between two fetches, [`fetch_budget`] how many tokens with an unknown key id may cause. [`key_state`] is the set of
//! keys at one moment; [`rejected_keys`] logs keys that cannot be used. [`location`] is where another endpoint of an issuer is.

mod discovery;
mod fetch_budget;
pub(crate) mod fetch_pause;
mod key_fetcher;
pub(crate) mod key_state;
pub(crate) mod keys;
pub(crate) mod location;
pub(crate) mod refresher;
mod rejected_keys;
