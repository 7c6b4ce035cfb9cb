//! Who calls, once the token is verified.

use std::sync::Arc;

use super::scope::ScopeSet;

/// Who a principal is: issuer, subject, client.
pub type Who = (Arc<str>, Arc<str>, Option<Arc<str>>);

/// A subject of an issuer. It shares what the gateway limits for each principal, whatever clients it uses: a subject can
/// register as many of them as it likes.
pub type Subject = (Arc<str>, Arc<str>);

/// The caller. Its identity is issuer, subject and client together: a client that acts for itself is another caller than
/// the user who happens to have the same subject (RFC 9068 §5, RFC 9700 §4.15).
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

impl Principal {
    /// The subject and its issuer. Built-in limits per principal are counted under it.
    pub fn subject(&self) -> Subject {
        (self.issuer.clone(), self.subject.clone())
    }

    /// The identity without what the token grants. Rate limits per principal are counted under it.
    pub fn who(&self) -> Who {
        (
            self.issuer.clone(),
            self.subject.clone(),
            self.client.clone(),
        )
    }
}
