//! What verifies tokens beyond the pure judgement of the core: each issuer's [`keys`], kept fresh by [`refresher`].
//!
//! [`key_fetcher`] gets them, where [`discovery`] finds them or the configuration says they are; [`fetch_pause`] is the time
//! between two fetches. [`key_state`] is what is known of them at one moment; [`rejected_keys`] logs those that cannot be used.

mod discovery;
mod fetch_pause;
mod key_fetcher;
pub(crate) mod key_state;
pub(crate) mod keys;
pub(crate) mod refresher;
mod rejected_keys;
