//! The callers that a rule applies to: subjects and clients, each of one issuer.
//!
//! A subject is only unique within its issuer, and so is a client id (RFC 7519 §4.1.2, RFC 9068 §5): neither is ever
//! compared without its issuer.

use std::sync::Arc;

use crate::principal::Principal;

/// One subject or one client, by the issuer that vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The issuer, as its tokens name it.
    pub issuer: Arc<str>,
    /// The subject claim's value, or the client id.
    pub id: Arc<str>,
}

/// The callers that a rule applies to. An empty list means all callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callers {
    /// By subject.
    pub principals: Vec<Identity>,
    /// By client id.
    pub clients: Vec<Identity>,
}

impl Callers {
    /// Whether it applies to all callers.
    pub const fn is_everybody(&self) -> bool {
        self.principals.is_empty() && self.clients.is_empty()
    }

    /// Whether it applies to this caller's subject.
    pub fn has_principal(&self, caller: &Principal) -> bool {
        has(&self.principals, &caller.issuer, Some(&caller.subject))
    }

    /// Whether it applies to this caller's client; never to a caller without a client, where clients are listed.
    pub fn has_client(&self, caller: &Principal) -> bool {
        has(&self.clients, &caller.issuer, caller.client.as_deref())
    }
}

fn has(listed: &[Identity], issuer: &str, id: Option<&str>) -> bool {
    listed.is_empty()
        || id.is_some_and(|id| {
            listed
                .iter()
                .any(|own| *own.issuer == *issuer && *own.id == *id)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    fn identity(issuer: &str, id: &str) -> Identity {
        Identity {
            issuer: issuer.into(),
            id: id.into(),
        }
    }

    fn caller(issuer: &str, subject: &str, client: Option<&str>) -> Principal {
        Principal {
            issuer: issuer.into(),
            subject: subject.into(),
            client: client.map(Into::into),
            scopes: ScopeSet::default(),
        }
    }

    #[test]
    fn an_empty_list_means_all_callers() {
        let callers = Callers::default();
        let alice = caller("https://a", "alice", None);
        assert!(callers.is_everybody());
        assert!(callers.has_principal(&alice) && callers.has_client(&alice));
    }

    #[test]
    fn a_caller_is_meant_with_its_own_issuer_alone() {
        let callers = Callers {
            principals: vec![identity("https://a", "alice"), identity("https://b", "bob")],
            clients: vec![identity("https://a", "app")],
        };
        assert!(!callers.is_everybody());
        for (issuer, subject, client, principal_meant, client_meant) in [
            ("https://a", "alice", Some("app"), true, true),
            ("https://b", "alice", Some("app"), false, false),
            ("https://b", "bob", None, true, false),
            ("https://a", "bob", Some("App"), false, false),
            ("https://a", "app", Some("alice"), false, false),
            ("https://a/", "alice", Some("app"), false, false),
        ] {
            let caller = caller(issuer, subject, client);
            let found = (callers.has_principal(&caller), callers.has_client(&caller));
            assert_eq!(found, (principal_meant, client_meant), "{caller:?}");
        }
    }
}
