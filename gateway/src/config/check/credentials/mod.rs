//! Credentials other than tokens of issuers: of callers, and for upstreams.

pub(super) mod api_keys;
pub(super) mod assertions;
pub(super) mod client_authentication;
