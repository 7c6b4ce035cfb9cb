//! Credentials other than tokens of issuers: of callers, and for upstreams.

pub(crate) mod api_keys;
pub(crate) mod assertions;
