//! What every question of one principal begins with: who asks. It is written and digested once for a verified token, and kept with its
//! verdict, so that a call whose answer is in a cache digests only the rest.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::written::Written;
use crate::principal::Principal;

/// A place for what questions of one principal begin with, empty until one is asked.
#[derive(Debug, Default)]
pub struct Asker(OnceLock<Arc<Beginning>>);

/// The beginning of the text of every question of one principal, up to the end of its last scope.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Whose it is. Nobody can change a principal that is shared.
    principal: Arc<Principal>,
    text: Vec<u8>,
    digest: [u8; SHA256_OUTPUT_LEN],
}

impl Asker {
    /// The beginning for this principal: the one that is kept, unless that is of another one.
    pub(super) fn beginning(&self, principal: &Arc<Principal>) -> Arc<Beginning> {
        let new = || Arc::new(Beginning::of(principal));
        let kept = self.0.get_or_init(new);
        match Arc::ptr_eq(&kept.principal, principal) {
            true => Arc::clone(kept),
            false => new(),
        }
    }
}

impl Beginning {
    fn of(principal: &Arc<Principal>) -> Self {
        let mut written = Written::new();
        written.raw("{\"subject\":{\"type\":\"user\"");
        written.member("id", &principal.subject);
        written.name("properties");
        written.raw("{");
        written.member("issuer", &principal.issuer);
        if let Some(client) = &principal.client {
            written.member("client_id", client);
        }
        written.name("scopes");
        written.raw("[");
        for scope in principal.scopes.iter() {
            written.comma();
            written.text(scope);
        }
        let text = written.into_bytes();
        let mut own = [0; SHA256_OUTPUT_LEN];
        own.copy_from_slice(digest(&SHA256, &text).as_ref());
        Self {
            principal: Arc::clone(principal),
            text,
            digest: own,
        }
    }

    /// The text.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The SHA-256 of the text.
    pub(super) const fn digest(&self) -> &[u8; SHA256_OUTPUT_LEN] {
        &self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;

    fn principal(subject: &str, scopes: &str) -> Arc<Principal> {
        Arc::new(Principal {
            issuer: "https://issuer.example".into(),
            subject: subject.into(),
            client: None,
            scopes: ScopeSet::parse(scopes).unwrap(),
        })
    }

    #[test]
    fn what_is_kept_is_used_for_its_own_principal_alone() {
        let asker = Asker::default();
        let alice = principal("alice", "read");
        let kept = asker.beginning(&alice);
        assert!(Arc::ptr_eq(&kept, &asker.beginning(&alice)));
        for other in [principal("bob", "read"), principal("alice", "read write")] {
            let beginning = asker.beginning(&other);
            assert_eq!(beginning.principal, other);
            assert_ne!(beginning.text(), kept.text());
            assert_ne!(beginning.digest(), kept.digest());
        }
        // A new token of the same principal has the same beginning.
        let again = asker.beginning(&principal("alice", "read"));
        assert_eq!((again.text(), again.digest()), (kept.text(), kept.digest()));
    }
}
