//! What verifies tokens beyond the pure judgement of the core: each issuer's [`keys`], found by [`discovery`] and kept fresh by
//! [`refresher`].

pub(crate) mod discovery;
pub(crate) mod keys;
pub(crate) mod refresher;
