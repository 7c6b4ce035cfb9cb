//! What verifies tokens beyond the pure judgement of the core: each issuer's [`keys`], found by [`discovery`] and kept fresh by
//! [`refresher`]. [`key_state`] is what is known of them at one moment, [`rejected_keys`] logs those that cannot be used, and
//! [`fetch_pause`] is the time between two fetches.

pub(crate) mod discovery;
mod fetch_pause;
pub(crate) mod key_state;
pub(crate) mod keys;
pub(crate) mod refresher;
mod rejected_keys;
