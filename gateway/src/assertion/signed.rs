//! Signed assertions of one resource, which are sent again while they hold.
//!
//! Each subject has a place of its own for a few assertions: one for each client and set of scopes. So a subject with many clients
//! replaces its own assertions alone. The number of subjects is bounded (`limits.assertion_subjects`).

use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use mcp_gateway_core::{
    principal::{Principal, Subject},
    time::UnixTime,
    token::assertion::window::Window,
};
use quick_cache::sync::Cache;

/// The most assertions of one subject that are kept.
const MOST_OF_SUBJECT: usize = 8;

/// Signed assertions.
#[derive(Debug)]
pub(super) struct Signed(Cache<Subject, Arc<Place>>);

/// The assertions of one subject.
type Place = Mutex<Vec<Kept>>;

/// A signed assertion.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) principal: Arc<Principal>,
    /// The end of the token, where that comes earlier than the lifetime.
    pub(super) bound: Option<UnixTime>,
    pub(super) window: Window,
    pub(super) value: HeaderValue,
}

impl Kept {
    /// Whether it is about the same caller, and may be sent for a token with this bound. Callers are compared as a whole.
    fn fits(&self, principal: &Arc<Principal>, bound: Option<UnixTime>) -> bool {
        let is_same = || Arc::ptr_eq(&self.principal, principal) || self.principal == *principal;
        self.bound == bound && is_same()
    }
}

impl Signed {
    /// Room for so many subjects.
    pub(super) fn new(subjects: usize) -> Self {
        Self(Cache::new(subjects))
    }

    /// The assertion about this caller that is sent now; else what `sign` makes, which is kept. Calls of one subject that come at
    /// the same time sign once.
    pub(super) fn get_or_sign<E>(
        &self,
        principal: &Arc<Principal>,
        bound: Option<UnixTime>,
        now: UnixTime,
        sign: impl FnOnce() -> Result<Kept, E>,
    ) -> Result<HeaderValue, E> {
        let place = self.place(principal.subject());
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fitting = place.iter().filter(|kept| kept.fits(principal, bound));
        if let Some(kept) = fitting.find(|kept| kept.window.is_sent_at(now)) {
            return Ok(kept.value.clone());
        }
        let signed = sign()?;
        let value = signed.value.clone();
        place.retain(|kept| kept.window.is_sent_at(now));
        if place.len() >= MOST_OF_SUBJECT {
            place.remove(0);
        }
        place.push(signed);
        Ok(value)
    }

    fn place(&self, subject: Subject) -> Arc<Place> {
        if let Some(place) = self.0.get(&subject) {
            return place;
        }
        let made: Result<_, std::convert::Infallible> = self
            .0
            .get_or_insert_with(&subject, || Ok(Arc::new(Place::default())));
        match made {
            Ok(place) => place,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use mcp_gateway_core::scope::ScopeSet;

    use super::*;

    const LIFETIME: Duration = Duration::from_secs(60);

    fn caller(subject: &str, client: Option<&str>, scopes: &str) -> Arc<Principal> {
        Arc::new(Principal {
            issuer: "https://login.example.com/".into(),
            subject: subject.into(),
            client: client.map(Into::into),
            scopes: ScopeSet::parse(scopes).unwrap(),
        })
    }

    /// Assertions that are numbered.
    struct Numbered {
        signed: Signed,
        count: Cell<u64>,
    }

    impl Numbered {
        fn new(subjects: usize) -> Self {
            Self {
                signed: Signed::new(subjects),
                count: Cell::new(0),
            }
        }

        fn get(&self, principal: &Arc<Principal>, bound: Option<i64>, now: i64) -> String {
            let (now, bound) = (UnixTime::new(now), bound.map(UnixTime::new));
            let sign = || {
                self.count.set(self.count.get() + 1);
                Ok::<_, ()>(Kept {
                    principal: principal.clone(),
                    bound,
                    window: Window::new(now, LIFETIME, bound),
                    value: HeaderValue::from(self.count.get()),
                })
            };
            let value = self.signed.get_or_sign(principal, bound, now, sign);
            value.unwrap().to_str().unwrap().to_owned()
        }
    }

    #[test]
    fn one_is_signed_for_each_caller_client_and_set_of_scopes_and_sent_while_it_holds() {
        let numbered = Numbered::new(100);
        let callers = [
            caller("alice", None, ""),
            caller("alice", Some("app"), ""),
            caller("alice", Some(""), ""),
            caller("alice", Some("app"), "read"),
            caller("alice", Some("app"), "read write"),
            caller("bob", Some("app"), "read write"),
        ];
        let get = |now| {
            callers
                .clone()
                .map(|caller| numbered.get(&caller, None, now))
        };
        let first = get(0);
        assert_eq!(first, ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(get(49), first);
        // Another value of the same caller: another token of it.
        let same = caller("alice", Some("app"), "write read");
        assert_eq!(numbered.get(&same, None, 49), "5");
        assert_eq!(get(50), ["7", "8", "9", "10", "11", "12"]);
        // A clock that was set back.
        assert_eq!(numbered.get(&callers[0], None, 10), "13");
    }

    #[test]
    fn a_token_that_ends_soon_has_one_of_its_own() {
        let numbered = Numbered::new(100);
        let alice = caller("alice", None, "");
        assert_eq!(numbered.get(&alice, None, 0), "1");
        assert_eq!(numbered.get(&alice, Some(30), 0), "2");
        assert_eq!(numbered.get(&alice, Some(20), 0), "3");
        assert_eq!(numbered.get(&alice, None, 1), "1");
        assert_eq!(numbered.get(&alice, Some(30), 29), "2");
        assert_eq!(numbered.get(&alice, Some(30), 30), "4");
    }

    #[test]
    fn a_subject_with_many_clients_replaces_its_own_alone_and_all_are_bounded() {
        let numbered = Numbered::new(1000);
        let bob = caller("bob", None, "");
        let first = numbered.get(&bob, None, 0);
        for number in 0..1000 {
            let client = number.to_string();
            numbered.get(&caller("alice", Some(&client), ""), None, 0);
        }
        assert_eq!(numbered.get(&bob, None, 0), first);
        let alice = numbered.signed.place(caller("alice", None, "").subject());
        assert_eq!(alice.lock().unwrap().len(), MOST_OF_SUBJECT);
        for number in 0..10_000 {
            numbered.get(&caller(&number.to_string(), None, ""), None, 0);
        }
        assert!(numbered.signed.0.len() <= 1000);
    }

    #[test]
    fn what_was_not_signed_is_not_kept() {
        let signed = Signed::new(10);
        let (alice, now) = (caller("alice", None, ""), UnixTime::new(0));
        let refused = signed.get_or_sign(&alice, None, now, || Err("no"));
        assert_eq!(refused.unwrap_err(), "no");
        let place = signed.place(alice.subject());
        assert!(place.lock().unwrap().is_empty());
    }
}
