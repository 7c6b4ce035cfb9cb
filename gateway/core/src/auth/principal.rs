//! Who calls, once the token is verified.

use std::sync::Arc;

use super::scope::ScopeSet;

/// The caller. Who it *is* are the first three together: a client acting for itself is another caller than the user
/// whose subject happens to read the same (RFC 9068 §5, RFC 9700 §4.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The issuer that vouches for the caller, as its tokens name it.
    pub issuer: Arc<str>,
    /// The value of the issuer's subject claim (`sub` unless configured otherwise).
    pub subject: Arc<str>,
    /// `client_id` of the token, else `azp`.
    pub client: Option<Arc<str>>,
    /// What the token grants.
    pub scopes: ScopeSet,
}
