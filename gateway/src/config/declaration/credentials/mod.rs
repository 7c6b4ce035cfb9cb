//! Credentials other than tokens of issuers.

pub(crate) mod api_keys;
