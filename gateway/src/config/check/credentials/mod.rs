//! Credentials other than tokens of issuers.

pub(super) mod api_keys;
